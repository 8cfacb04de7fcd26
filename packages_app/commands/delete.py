"""Delete an update package and its files. Update batches protect it: their history says what was installed."""

from datetime import datetime
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from devices_app.commands.trail import note
from ota_console.audit.actor import Actor
from ota_console.audit.commands import Target
from ota_console.core.errors import Conflict, NotFound
from packages_app.commands.stored_files import remove_stored_files
from packages_app.models import UpdatePackage


def delete_package(*, package: str, actor: Actor, now: datetime) -> None:
    """Delete the package with this public id; its files leave the storage after the commit.

    Raises `NotFound`, `Conflict` code `package_in_use` where an update batch has used it.
    """
    try:
        with transaction.atomic():
            _delete(package, actor, now)
    except (ProtectedError, IntegrityError) as error:
        message = _("Update batches have used this package. It stays, so that their history stays true.")
        raise Conflict("package_in_use", message) from error


def _delete(package: str, actor: Actor, now: datetime) -> None:
    row = UpdatePackage.objects.select_for_update().filter(public_id=package).first()
    if row is None:
        raise NotFound("package_unknown", _("There is no such update package."))
    stored = tuple(row.files.values_list("file", flat=True))
    row.delete()
    note(actor, "package.delete", Target("package", package), now, name=row.name, version=row.version)
    transaction.on_commit(partial(remove_stored_files, stored))
