"""Cancel batches and device updates.

What was asked is written on the batch row first and obeyed everywhere (rules.md §3). Cancels of many return at once and
are carried out in slices by `engine.cancel`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.utils.translation import gettext

from batches_app.commands.results import TaskResult, act_on_tasks, done, note_tasks, refused
from batches_app.commands.rows import lock_batch, note, save_batch
from batches_app.domain.states import BatchStatus, Cancel, Reason, TaskStatus, is_unfinished
from batches_app.models import Batch, BatchCounts, Task
from batches_app.transitions import STATUS_COLUMNS, LockedTask, Transitions
from devices_app.models import Device
from ota_console.audit.actor import Actor
from ota_console.core.errors import Conflict, Invalid, NotFound
from ota_console.core.jobs import enqueue
from packages_app.models import UpdatePackage

__all__ = ["CancelStarted", "TaskResult", "cancel_batch", "cancel_by_device", "cancel_tasks", "cancel_tasks_by_state"]

EVERY_STATE: Final = frozenset(status for status in TaskStatus if is_unfinished(status))
MAX_TASKS: Final = 200
"""In one command; more go through a cancel by state, in slices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelStarted:
    """The cancel stands; `task_count` device updates (as of now) are being canceled in slices."""

    public_id: str
    task_count: int


def cancel_batch(*, batch: str, actor: Actor, now: datetime, include_ongoing: bool = False) -> CancelStarted:
    """Cancel a static or verify batch with all its unfinished tasks, or a dynamic batch's policy (seed; rules.md §3).

    `include_ongoing` counts for dynamic batches only: also cancel all their ongoing tasks, in all four states.
    `batch` is a public id. Raises `NotFound`, `Conflict` code `batch_ended`.
    """
    with transaction.atomic():
        row = lock_batch(batch)
        if row.status not in (BatchStatus.PLANNED, BatchStatus.IN_PROGRESS):
            raise Conflict("batch_ended", gettext("This batch has already ended. Nothing was changed."))
        row.status = BatchStatus.CANCELED
        row.ended_at = now
        row.canceled_by_id = actor.user_id
        takes_tasks = row.selection == Batch.Selection.STATIC or include_ongoing
        states = EVERY_STATE if takes_tasks else frozenset[TaskStatus]()
        count = _ask(row, states, Reason.BATCH_CANCELED, now)
        save_batch(row, "status", "ended_at", "canceled_by", *_CANCEL_FIELDS, now=now)
        note(row, "batch.cancel", actor=actor, now=now, detail={"include_ongoing": takes_tasks, "tasks": count})
        enqueue("batches_app.cancel", row.pk)
    return CancelStarted(public_id=batch, task_count=count)


_CANCEL_FIELDS: Final = (
    "cancel_mask",
    "cancel_requested_at",
    "cancel_reason",
    "cancel_cursor",
    "cancel_total_count",
    "cancel_done_count",
)


def _ask(row: Batch, states: Collection[TaskStatus], reason: Reason, now: datetime) -> int:
    """Write on the locked row what is asked, joined with a cancel that still runs; how many tasks it means now."""
    if not states:
        return 0
    is_running = row.cancel_mask != 0
    for status in states:
        row.cancel_mask |= 1 << status
    counts = BatchCounts.objects.values(*STATUS_COLUMNS).get(pk=row.pk)
    total = sum(counts[STATUS_COLUMNS[status]] for status in EVERY_STATE if row.cancel_mask >> status & 1)
    row.cancel_requested_at = now
    row.cancel_reason = reason
    row.cancel_cursor = 0
    row.cancel_done_count = row.cancel_done_count if is_running else 0
    row.cancel_total_count = row.cancel_done_count + total
    return int(total)


def cancel_tasks_by_state(*, batch: str, states: Collection[TaskStatus], actor: Actor, now: datetime) -> CancelStarted:
    """Cancel all tasks of a batch, running or ended, that are in one of the given unfinished states (rules.md §3).

    The console offers Pending Confirmation, To Be Pushed and Pushed; the RPC API all four. The batch itself goes on,
    unless no task is left. Raises `NotFound`, `Invalid` {"states"} where none or an ended state is given.
    """
    wanted = frozenset(states)
    if not wanted or not wanted <= EVERY_STATE:
        message = gettext("Choose at least one of Pending Confirmation, To Be Pushed, Pushed and Upgrading.")
        raise Invalid("states_invalid", message, "states")
    with transaction.atomic():
        row = lock_batch(batch)
        row.canceled_by_id = actor.user_id
        count = _ask(row, wanted, Reason.CANCELED_BY_OPERATOR, now)
        save_batch(row, "canceled_by", *_CANCEL_FIELDS, now=now)
        names = [status.name for status in sorted(wanted)]
        note(row, "batch.cancel_tasks", actor=actor, now=now, detail={"states": names, "tasks": count})
        enqueue("batches_app.cancel", row.pk)
    return CancelStarted(public_id=batch, task_count=count)


def cancel_tasks(
    *, tasks: Sequence[str], actor: Actor, now: datetime, batch: str | None = None
) -> tuple[TaskResult, ...]:
    """Cancel single tasks, Upgrading ones too, by public id, at most 200 at once (seed).

    One result per id, in the given order. With `batch` (public id), tasks of other batches count as unknown. An ended
    task is a no-op and reported as such.
    """
    event = Cancel(Reason.CANCELED_BY_OPERATOR, actor.name)
    with transaction.atomic():
        results = act_on_tasks(tasks, event, batch=batch, limit=MAX_TASKS, now=now)
        note_tasks("task.cancel", results, actor=actor, now=now)
    return results


def cancel_by_device(
    *, package: str, device_names: Sequence[str], actor: Actor, now: datetime, batch: str | None = None
) -> tuple[TaskResult, ...]:
    """Cancel the unfinished tasks of these devices (at most 200 names) with the package, or only in one batch of it.

    To Be Pushed, Pushed and Upgrading (vendor reference §3.7). Public ids. One result per task, and one with code
    `no_task` per device without any. Raises `NotFound` (package, batch of the package), `Invalid` {"device_names"}.
    """
    names = tuple(dict.fromkeys(device_names))
    if not 1 <= len(names) <= MAX_TASKS:
        raise Invalid("device_names_invalid", gettext("Name 1 to 200 devices."), "device_names")
    with transaction.atomic():
        scope = _batches_of(package, batch)
        moves = Transitions(now)
        product = UpdatePackage.objects.values_list("product", flat=True).get(public_id=package)
        known = dict(Device.objects.filter(product=product, name__in=names).values_list("name", "pk"))
        found = Task.objects.filter(batch__in=scope, device__in=known.values(), status__lt=TaskStatus.SUCCEEDED)
        results = [_canceled(moves, task, actor) for task in moves.lock(found)]
        moves.flush()
        missing = [name for name in names if name not in {result.device_name for result in results}]
        results += [refused("", name, "no_task" if name in known else "unknown_device") for name in missing]
        note_tasks("task.cancel", results, actor=actor, now=now)
    return tuple(results)


def _canceled(moves: Transitions, task: LockedTask, actor: Actor) -> TaskResult:
    moves.apply(task, Cancel(Reason.CANCELED_BY_OPERATOR, actor.name))
    return done(task.public_id, task.device_name)


def _batches_of(package: str, batch: str | None) -> list[int]:
    """Keys of the package's batches, or of the one that is named."""
    found = Batch.objects.filter(package__public_id=package)
    if not UpdatePackage.objects.filter(public_id=package).exists():
        raise NotFound("package_unknown", gettext("This update package does not exist."))
    keys = list((found if batch is None else found.filter(public_id=batch)).values_list("pk", flat=True))
    if batch is not None and not keys:
        raise NotFound("batch_unknown", gettext("This batch does not exist."))
    return keys
