"""Delete a device. It stands here, above the devices, because its unfinished updates end with it (rules.md §7)."""

from datetime import datetime

from django.db import transaction

from batches_app.domain.states import Cancel, Reason, TaskStatus
from batches_app.models import Task
from batches_app.transitions import Transitions
from devices_app.commands.devices import end_session_on_commit, unknown_device
from devices_app.models import Device
from ota_console.audit import commands as audit
from ota_console.audit.actor import Actor


def delete_device(*, device: str, actor: Actor, now: datetime) -> int:
    """Delete the device with this public id; its unfinished tasks become CANCELED `DEVICE_DELETED`; how many did.

    Tasks and their history stay, and keep its name. Raises `NotFound`.
    """
    with transaction.atomic():
        row = Device.objects.select_for_update().select_related("product").filter(public_id=device).first()
        if row is None:
            raise unknown_device()
        moves = Transitions(now)
        for task in moves.lock(Task.objects.filter(device=row, status__lt=TaskStatus.SUCCEEDED)):
            moves.apply(task, Cancel(Reason.DEVICE_DELETED, actor.name))
        ended_count = len(moves.flush())
        end_session_on_commit(row.pk)
        row.delete()
        audit.record(
            actor_id=actor.user_id,
            actor_name=actor.name,
            action="device.delete",
            target=audit.Target("device", device),
            now=now,
            details={"product": row.product.product_key, "name": row.name, "tasks": ended_count},
        )
    return ended_count
