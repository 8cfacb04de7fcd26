"""Remove the files of packages from the storage, after the database has forgotten them.

A file that stays is logged, not raised.
"""

from collections.abc import Iterable

import structlog

from packages_app.selectors import storage

log = structlog.get_logger(__name__)


def remove_stored_files(stored_names: Iterable[str]) -> None:
    """Delete each file; one that cannot be deleted does not keep the others."""
    for name in stored_names:
        try:
            storage().delete(name)
        except OSError:
            log.exception("package_file_not_removed", stored_name=name)
