"""Carrying out a cancel, slice by slice.

What is canceled stands on the batch's row since the operator asked (rules.md §3). Every claim, confirm, re-upgrade,
match and launch slice reads it there under the row's lock, so a task that this has not reached yet moves no more.
Resumable after any crash; safe to run twice; memory does not grow with the batch.
"""

from collections import Counter
from datetime import datetime
from typing import Final

from django.db import transaction

from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.models import Batch
from batches_app.sql import cancel as sql
from batches_app.sql import tasks as task_sql
from batches_app.transitions import STATUS_COLUMNS
from ota_console.outbox import commands as outbox
from ota_console.outbox import events

SLICE: Final = 10_000
"""Tasks of one state in a slice (hotpath.md)."""
EVERY_STATE: Final = 0b1111
LAUNCHING: Final = (Batch.LaunchState.WAITING, Batch.LaunchState.WRITING)
RUNNING: Final = (BatchStatus.PLANNED, BatchStatus.IN_PROGRESS)


def cancel_once(*, batch_id: int, now: datetime, slice_size: int = SLICE) -> bool:
    """End the next slice of tasks; whether to go on at once.

    False too while the launch still writes tasks to be canceled.
    """
    with transaction.atomic():
        rows = Batch.objects.select_related("package").select_for_update(no_key=True, of=("self",))
        batch = rows.filter(pk=batch_id).first()
        if batch is None or batch.cancel_mask == 0:
            return False
        states = [status for status in TaskStatus if batch.cancel_mask >> status & 1]
        through = sql.slice_end(batch.pk, states, after=batch.cancel_cursor, size=slice_size)
        moved = _cancel_slice(batch, states, through, now)
        _count(batch, moved, now)
        has_more = _next(batch, through)
        batch.cancel_done_count += sum(m.task_count for m in moved.values())
        batch.save(update_fields=["cancel_mask", "cancel_cursor", "cancel_done_count", "launch_state"])
        outbox.append(events=_told(batch, moved), now=now)
    return has_more


def _cancel_slice(batch: Batch, states: list[TaskStatus], through: int, now: datetime) -> dict[TaskStatus, sql.Moved]:
    after, reason = batch.cancel_cursor, Reason(batch.cancel_reason)
    return {
        status: sql.cancel_slice(batch.pk, status, after=after, through=through, reason=reason, now=now)
        for status in states
    }


def _count(batch: Batch, moved: dict[TaskStatus, sql.Moved], now: datetime) -> None:
    deltas = Counter(canceled=sum(m.task_count for m in moved.values()))
    for status, rows in moved.items():
        deltas[STATUS_COLUMNS[status]] -= rows.task_count
        if status == TaskStatus.QUEUED:
            deltas["queued_offline"] -= rows.offline_count
    task_sql.move_batch_counts({batch.pk: deltas})
    task_sql.move_package_counts({batch.package_id: deltas})
    if deltas["canceled"] and _is_awaited(batch):
        sql.free_lanes(batch.pk, batch.product_id, after=batch.cancel_cursor, through=sql.LAST_ID, now=now)


def _is_awaited(batch: Batch) -> bool:
    """Whether a running dynamic batch of the product may want the lanes that become free."""
    running = Batch.objects.filter(
        product=batch.product_id, selection=Batch.Selection.DYNAMIC, status=BatchStatus.IN_PROGRESS
    )
    return running.exists()


def _next(batch: Batch, through: int) -> bool:
    """Move the cursor, or end the cancel where every task was reached and no launch will write more of them."""
    if through < sql.LAST_ID:
        batch.cancel_cursor = through
        return True
    if batch.launch_state in LAUNCHING:
        if batch.status in RUNNING:
            return False
        batch.launch_state = Batch.LaunchState.STOPPED
    if batch.cancel_mask == EVERY_STATE and sql.has_unfinished(batch.pk):
        batch.cancel_cursor = 0  # a task changed its state behind the cursor
        return True
    batch.cancel_mask = 0
    batch.cancel_cursor = 0
    return False


def _told(batch: Batch, moved: dict[TaskStatus, sql.Moved]) -> list[events.Event]:
    told = [events.batch_changed(batch=batch.public_id, package=batch.package.public_id)]
    count = sum(m.task_count for m in moved.values())
    if count:
        told.append(events.tasks_range(batch=batch.public_id, status=TaskStatus.CANCELED, count=count))
    return told
