"""A person's or a program's link to a file of a package, at the announced download server."""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.utils.translation import gettext as _

from ota_console.core.errors import NotFound
from packages_app import selectors
from packages_app.links import Link, LinkKind, checked_base_url, derive_key, signed_path

LIFETIME: Final = timedelta(minutes=10)
"""A download starts at once; the link need not live on in a history."""


def person_link(package: str, position: int, *, now: datetime) -> str:
    """The signed URL of one file of the package with this public id. Raises `NotFound`."""
    package_id = selectors.package_id_of(package)
    if package_id is None or selectors.package_file(package_id, position) is None:
        raise NotFound("file_unknown", _("There is no such file."))
    link = Link(LinkKind.PERSON, package, position)
    path = signed_path(link, now=now, expires_at=now + LIFETIME, key=derive_key(settings.SECRET_KEY))
    return checked_base_url(settings.DOWNLOAD_URL) + path
