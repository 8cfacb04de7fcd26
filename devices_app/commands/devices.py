"""Create devices, one or thousands at once, rotate their secrets, end their sessions (rules.md §5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import islice
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from devices_app.commands import checks
from devices_app.commands.trail import note
from devices_app.models import Device, Product
from ota_console.audit.actor import Actor
from ota_console.audit.commands import Target
from ota_console.core.errors import NotFound
from ota_console.core.ids import new_public_id, new_secret
from ota_console.core.jobs import enqueue

MAX_DEVICES_AT_ONCE: Final = 10_000
"""One request: a few seconds of inserts, a few megabytes of answer."""
_CHUNK: Final = 250
"""Rows of one statement; SQLite takes 999 parameters, and a public id is looked up for each row."""


class Outcome(Enum):
    """What became of one row of a request."""

    CREATED = "created"
    EXISTS = "exists"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDraft:
    """A device to be made; an empty name or secret is generated."""

    name: str = ""
    secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceResult:
    """What became of one draft: id and secret where it was created, errors by field of the draft where it was not."""

    name: str
    outcome: Outcome
    public_id: str = ""
    secret: str = ""
    errors: checks.Errors | None = None


def create_devices(
    *, product: str, drafts: Sequence[DeviceDraft], actor: Actor, now: datetime
) -> tuple[DeviceResult, ...]:
    """Create the devices that can be created, and say for each draft what became of it. `product` is a product key.

    Raises `Invalid` {"product"}, and {"devices"} where none or more than `MAX_DEVICES_AT_ONCE` are named.
    """
    if not 1 <= len(drafts) <= MAX_DEVICES_AT_ONCE:
        message = _("Name 1 to %(count)s devices.") % {"count": f"{MAX_DEVICES_AT_ONCE:,}"}
        raise checks.invalid({"devices": [message]})
    product_id = Product.objects.filter(product_key=product).values_list("pk", flat=True).first()
    if product_id is None:
        raise checks.invalid({"product": [_("There is no product with this key.")]})
    planned = _plan(drafts)
    with transaction.atomic():
        created = _insert([result for result in planned if result.outcome is Outcome.CREATED], product_id, now)
        if created:
            note(actor, "device.create", Target("product", product), now, count=len(created))
    return tuple(_settled(result, created) for result in planned)


def rotate_device_secret(*, device: str, actor: Actor, now: datetime, secret: str = "") -> str:
    """Give a device another secret, generated where none is given; its session ends, and the old one is refused.

    `device` is a public id. Raises `NotFound`, `Invalid` {"secret"}.
    """
    problems = checks.check_secret(secret) if secret else []
    if problems:
        raise checks.invalid({"secret": problems})
    chosen = secret or new_secret()
    with transaction.atomic():
        pk = Device.objects.filter(public_id=device).values_list("pk", flat=True).first()
        if pk is None or not Device.objects.filter(pk=pk).update(secret=chosen):
            raise unknown_device()
        end_session_on_commit(pk)
        note(actor, "device.rotate_secret", Target("device", device), now)
    return chosen


def end_session_on_commit(pk: int) -> None:
    """Let the broker be told that the session of the device with this key is over. Call before the row is deleted."""
    for product_key, name in Device.objects.filter(pk=pk).values_list("product__product_key", "name"):
        enqueue("devices_app.end_session", product_key, name)


def unknown_device() -> NotFound:
    """There is no device with this public id."""
    return NotFound("device_unknown", _("There is no such device."))


def _plan(drafts: Sequence[DeviceDraft]) -> list[DeviceResult]:
    """Each draft as it would be created, or why it cannot be. Of two drafts with one name the first counts."""
    seen: set[str] = set()
    planned = []
    for draft in drafts:
        name, secret = draft.name or f"device-{new_secret()[:16]}", draft.secret or new_secret()
        errors = checks.found(name=checks.check_device_name(name), secret=checks.check_secret(secret))
        if errors:
            planned.append(DeviceResult(name=name, outcome=Outcome.INVALID, errors=errors))
        elif name in seen:
            planned.append(_existing(name))
        else:
            seen.add(name)
            planned.append(DeviceResult(name=name, outcome=Outcome.CREATED, public_id=new_public_id(), secret=secret))
    return planned


def _insert(wanted: Sequence[DeviceResult], product_id: int, now: datetime) -> set[str]:
    """Write what does not exist yet, also while others write; the public ids that stand afterwards are ours."""
    created: set[str] = set()
    for chunk in _chunks(wanted):
        rows = [
            Device(
                public_id=result.public_id,
                product_id=product_id,
                name=result.name,
                secret=result.secret,
                created_at=now,
            )
            for result in chunk
        ]
        Device.objects.bulk_create(rows, ignore_conflicts=True)
        ids = [result.public_id for result in chunk]
        created.update(Device.objects.filter(public_id__in=ids).values_list("public_id", flat=True))
    return created


def _chunks(results: Sequence[DeviceResult]) -> Iterator[list[DeviceResult]]:
    rest = iter(results)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def _settled(result: DeviceResult, created: set[str]) -> DeviceResult:
    if result.outcome is not Outcome.CREATED or result.public_id in created:
        return result
    return _existing(result.name)


def _existing(name: str) -> DeviceResult:
    errors = {"name": [_("This product has a device of this name.")]}
    return DeviceResult(name=name, outcome=Outcome.EXISTS, errors=errors)
