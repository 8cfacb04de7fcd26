"""Create, edit and delete device groups, and change the members of static ones (vendor reference §1.1)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from devices_app.commands import checks
from devices_app.commands.trail import note
from devices_app.models import Device, DeviceGroup, GroupMember, Product
from ota_console.audit.actor import Actor
from ota_console.audit.commands import Target
from ota_console.core.errors import Conflict, Invalid, NotFound
from ota_console.core.ids import new_public_id

MAX_MEMBERS_AT_ONCE: Final = 10_000
"""One request; larger sets come in several."""
MAX_FILTER_VERSIONS: Final = 100
"""A filter is looked at for every version report."""
_CHUNK: Final = 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFilter:
    """What a dynamic group holds: every device of the product that all given parts fit."""

    name_prefix: str = ""
    module: str = ""
    versions: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As stored: a missing key does not restrict."""
        parts = {"name_prefix": self.name_prefix, "module": self.module, "versions": list(self.versions)}
        return {key: value for key, value in parts.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDraft:
    """A group to be made."""

    name: str
    product: str
    """Product key."""
    kind: DeviceGroup.Kind = DeviceGroup.Kind.STATIC
    description: str = ""
    filter: GroupFilter = field(default_factory=GroupFilter)


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersChanged:
    """How many devices came and went, and the names that the product does not have."""

    added_count: int
    removed_count: int
    unknown: tuple[str, ...]


def create_group(*, draft: GroupDraft, actor: Actor, now: datetime) -> str:
    """Create a group and return its public id. Raises `Invalid` by field of `GroupDraft`."""
    errors = checks.found(
        name=checks.check_group_name(draft.name),
        description=checks.check_description(draft.description),
        filter=_check_filter(draft.kind, draft.filter),
    )
    if errors:
        raise checks.invalid(errors)
    product_id = Product.objects.filter(product_key=draft.product).values_list("pk", flat=True).first()
    if product_id is None:
        raise checks.invalid({"product": [_("There is no product with this key.")]})
    public_id = new_public_id()
    fields = {"name": draft.name, "kind": draft.kind, "description": draft.description}
    try:
        with transaction.atomic():
            DeviceGroup.objects.create(
                public_id=public_id, product_id=product_id, filter=draft.filter.as_json(), created_at=now, **fields
            )
            note(actor, "group.create", Target("group", public_id), now, name=draft.name)
    except IntegrityError as error:
        raise _name_taken() from error
    return public_id


def edit_group(
    *,
    group: str,
    actor: Actor,
    now: datetime,
    name: str | None = None,
    description: str | None = None,
    group_filter: GroupFilter | None = None,
) -> None:
    """Change name, description or, of a dynamic group, its filter; None keeps one. A changed filter holds from now on.

    `group` is a public id. Raises `NotFound`, `Invalid`.
    """
    kind = DeviceGroup.Kind(_row(group).kind)
    errors = checks.found(
        name=[] if name is None else checks.check_group_name(name),
        description=checks.check_description(description or ""),
        filter=[] if group_filter is None else _check_filter(kind, group_filter),
    )
    if errors:
        raise checks.invalid(errors)
    new_filter = None if group_filter is None else group_filter.as_json()
    given = {"name": name, "description": description, "filter": new_filter}
    values = {key: value for key, value in given.items() if value is not None}
    try:
        with transaction.atomic():
            if values:
                DeviceGroup.objects.filter(public_id=group).update(**values)
                note(actor, "group.edit", Target("group", group), now, changed=sorted(values))
    except IntegrityError as error:
        raise _name_taken() from error


def delete_group(*, group: str, actor: Actor, now: datetime) -> None:
    """Delete a group that no update batch was launched for. Raises `NotFound`, `Conflict` code `group_in_use`."""
    try:
        with transaction.atomic():
            row = _row(group)
            row.delete()
            note(actor, "group.delete", Target("group", group), now, name=row.name)
    except (ProtectedError, IntegrityError) as error:
        message = _("Update batches were launched for this group. It stays, so that their history stays true.")
        raise Conflict("group_in_use", message) from error


def change_members(
    *, group: str, actor: Actor, now: datetime, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> MembersChanged:
    """Add and remove devices of a static group by name. Naming a device twice, or one that is in already, does no harm.

    Raises `NotFound`, `Invalid` {"add"|"remove"}, `Conflict` code `group_is_dynamic`.
    """
    sentence = _("Name at most %(count)s devices.") % {"count": f"{MAX_MEMBERS_AT_ONCE:,}"}
    errors = checks.found(
        add=[sentence] if len(add) > MAX_MEMBERS_AT_ONCE else [],
        remove=[sentence] if len(remove) > MAX_MEMBERS_AT_ONCE else [],
    )
    if errors:
        raise checks.invalid(errors)
    row = _row(group)
    if row.kind == DeviceGroup.Kind.DYNAMIC:
        raise Conflict("group_is_dynamic", _("The filter of a dynamic group decides who is in it."))
    with transaction.atomic():
        coming, going = _devices(row.product_id, add), _devices(row.product_id, remove)
        removed = sum(_remove(row, chunk) for chunk in _chunks(list(going.values())))
        added = sum(_add(row, chunk) for chunk in _chunks(list(coming.values())))
        note(actor, "group.members", Target("group", group), now, added=added, removed=removed)
    unknown = tuple(name for name in dict.fromkeys([*add, *remove]) if name not in coming and name not in going)
    return MembersChanged(added_count=added, removed_count=removed, unknown=unknown)


def _row(group: str) -> DeviceGroup:
    row = DeviceGroup.objects.filter(public_id=group).first()
    if row is None:
        raise NotFound("group_unknown", _("There is no such group."))
    return row


def _check_filter(kind: DeviceGroup.Kind, group_filter: GroupFilter) -> list[str]:
    if kind is DeviceGroup.Kind.STATIC:
        return [_("A static group has no filter.")] if group_filter.as_json() else []
    if not group_filter.as_json():
        return [_("Give a name prefix, a module or versions.")]
    problems = [problem for version in group_filter.versions for problem in checks.check_version(version)]
    if len(group_filter.versions) > MAX_FILTER_VERSIONS:
        problems.append(_("Name at most %(count)d versions.") % {"count": MAX_FILTER_VERSIONS})
    if group_filter.name_prefix:
        problems += checks.check_device_name(group_filter.name_prefix.ljust(4, "0"))
    if group_filter.module:
        problems += checks.check_module_name(group_filter.module)
    return list(dict.fromkeys(problems))


def _name_taken() -> Invalid:
    return checks.invalid({"name": [_("Another group has this name. Choose another name.")]})


def _chunks(values: Sequence[T]) -> Iterator[list[T]]:
    rest = iter(values)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def _devices(product_id: int, names: Sequence[str]) -> dict[str, int]:
    """The ids of the product's devices among the names."""
    found: dict[str, int] = {}
    for chunk in _chunks(list(dict.fromkeys(names))):
        found.update(Device.objects.filter(product_id=product_id, name__in=chunk).values_list("name", "pk"))
    return found


def _add(group: DeviceGroup, device_ids: Sequence[int]) -> int:
    before = GroupMember.objects.filter(group=group, device_id__in=device_ids).count()
    rows = [GroupMember(group=group, device_id=device_id) for device_id in device_ids]
    GroupMember.objects.bulk_create(rows, ignore_conflicts=True)
    return len(device_ids) - before


def _remove(group: DeviceGroup, device_ids: Sequence[int]) -> int:
    return GroupMember.objects.filter(group=group, device_id__in=device_ids).delete()[0]
