"""Edit what is said about an update package.

Its files, versions and module never change: devices may hold them already.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from devices_app.commands.checks import found, invalid
from devices_app.commands.trail import note
from ota_console.audit.actor import Actor
from ota_console.audit.commands import Target
from ota_console.core.errors import NotFound
from packages_app.commands import checks
from packages_app.commands.create import name_taken
from packages_app.models import UpdatePackage


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageEdited:
    """The package after the edit; `changed` names the fields whose value differs now."""

    updated_at: datetime
    changed: tuple[str, ...]


def edit_package(
    *,
    package: str,
    actor: Actor,
    now: datetime,
    name: str | None = None,
    description: str | None = None,
    custom_info: str | None = None,
) -> PackageEdited:
    """Change name, description and custom information; None keeps one as it is. `package` is a public id.

    New custom information reaches devices with the next push. Raises `NotFound`, `Invalid` by field.
    """
    given = {"name": name, "description": description, "custom_info": custom_info}
    values = {field: value for field, value in given.items() if value is not None}
    _check(values)
    try:
        with transaction.atomic():
            return _write(package, values, actor, now)
    except IntegrityError as error:
        raise invalid({"name": [name_taken()]}) from error


def _write(package: str, values: dict[str, str], actor: Actor, now: datetime) -> PackageEdited:
    row = UpdatePackage.objects.select_for_update(no_key=True).filter(public_id=package).first()
    if row is None:
        raise NotFound("package_unknown", _("There is no such update package."))
    changed = {field: value for field, value in values.items() if getattr(row, field) != value}
    if not changed:
        return PackageEdited(updated_at=row.updated_at, changed=())
    UpdatePackage.objects.filter(pk=row.pk).update(**changed, updated_at=now)
    note(actor, "package.edit", Target("package", package), now, changed=sorted(changed))
    return PackageEdited(updated_at=now, changed=tuple(changed))


def _check(values: dict[str, str]) -> None:
    checkers = {
        "name": checks.check_name,
        "description": checks.check_description,
        "custom_info": checks.check_custom_info,
    }
    errors = found(**{field: checkers[field](value) for field, value in values.items()})
    if errors:
        raise invalid(errors)
