"""Disable and enable a device. It stands here, above the devices, because its updates wait while it is disabled."""

from datetime import datetime

from django.db import transaction

from batches_app.domain.states import BatchStatus, Disconnected
from batches_app.models import Batch
from batches_app.sql.tasks import request_matches
from batches_app.transitions import Transitions
from devices_app import presence
from devices_app.commands.devices import end_session_on_commit, unknown_device
from devices_app.models import Device
from devices_app.presence import Connection
from ota_console.audit import commands as audit
from ota_console.audit.actor import Actor
from ota_console.outbox import commands as outbox
from ota_console.outbox import events


def set_device_enabled(*, device: str, is_enabled: bool, actor: Actor, now: datetime) -> bool:
    """Let a device in, or end its session and refuse it; True where that changed it. `device` is a public id.

    A disabled device is offline, and so are its unfinished updates, until it is enabled and says something again; its
    download links are dead meanwhile. Raises `NotFound`.
    """
    with transaction.atomic():
        named = Device.objects.filter(public_id=device).values_list("pk", flat=True)
        found = list(presence.lock_connections(named).values())
        if not found:
            raise unknown_device()
        if found[0].is_enabled == is_enabled:
            return False
        Device.objects.filter(pk=found[0].id).update(is_enabled=is_enabled)
        if is_enabled:
            _look_for_updates(found[0], now)
        else:
            _shut_out(found[0], now)
        audit.record(
            actor_id=actor.user_id,
            actor_name=actor.name,
            action="device.enable" if is_enabled else "device.disable",
            target=audit.Target("device", device),
            now=now,
            details={},
        )
    return True


def _shut_out(connection: Connection, now: datetime) -> None:
    """Offline at once, whether or not the broker can end the session: nothing is pushed to it any more."""
    end_session_on_commit(connection.id)
    if not connection.is_online:
        return
    presence.write([presence.after_silence(connection, now)])
    moves = Transitions(now)
    for task in moves.lock_open([connection.id]):
        moves.apply(task, Disconnected())
    moves.flush()
    outbox.append(events=[events.presence_changed(device=connection.public_id, is_online=False)], now=now)


def _look_for_updates(connection: Connection, now: datetime) -> None:
    """Dynamic batches have left it out while it was disabled."""
    running = Batch.objects.filter(
        selection=Batch.Selection.DYNAMIC, status=BatchStatus.IN_PROGRESS, product=connection.product_id
    )
    modules = running.order_by("module").values_list("module", flat=True).distinct()
    request_matches([(connection.id, module) for module in modules], is_new_version=False, now=now)
