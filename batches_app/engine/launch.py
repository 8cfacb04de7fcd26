"""Writing a batch's tasks, slice by slice: resumable after any crash, in a bounded number of statements a slice.

A slice locks its devices, then the batch's row, then the open tasks of these devices, and then writes (architecture,
hotpath.md). What an operator wrote on the batch's row meanwhile, a cancel above all, is obeyed there. Memory does not
grow with the batch: no device is ever read into Python.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F

from batches_app import scope as scopes
from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.engine import reconcile
from batches_app.engine.steps import StepChanged
from batches_app.models import Batch
from batches_app.scope import Scope, Window
from batches_app.sql import launch as sql
from batches_app.sql import tasks as task_sql
from batches_app.sql.fragments import Fragment
from batches_app.transitions import STATUS_COLUMNS
from ota_console.core.db import is_postgresql
from ota_console.core.ids import TIME_LENGTH, new_public_id
from ota_console.outbox import commands as outbox
from ota_console.outbox import events

SLICE_POSTGRESQL: Final = 10_000
"""The batch's row is locked for the time of a slice, and its pushes wait."""
SLICE_SQLITE: Final = 5_000
"""One writer at a time: a slice must not hold the database for long (hot path)."""
RUNNING: Final = (BatchStatus.PLANNED, BatchStatus.IN_PROGRESS)
CLOCK_TOLERANCE: Final = timedelta(seconds=30)
"""How far the clocks of gateway and worker may differ, plus how long a slice takes.

What moved since is looked at again.
"""
ONCE: Final = Fragment("1")
"""The match number of a task that is made at the launch."""


@dataclass(frozen=True, slots=True)
class Written:
    """What one slice did, by counter."""

    free: sql.Inserted
    conflicts: Counter[str]
    overwritten: Sequence[sql.Overwritten]

    @property
    def count(self) -> int:
        """Tasks that exist now and did not before."""
        return self.free.task_count + self.conflicts.total()


def default_slice_size() -> int:
    """Devices a slice looks at."""
    return SLICE_POSTGRESQL if is_postgresql() else SLICE_SQLITE


def launch_once(*, batch_id: int, now: datetime, slice_size: int | None = None) -> bool:
    """Do the next slice of a launch; whether there is more to do.

    Safe to call again, also by several workers at once.
    """
    batch = Batch.objects.select_related("package", "group", "product").filter(pk=batch_id).first()
    if batch is None or batch.launch_state not in (Batch.LaunchState.WAITING, Batch.LaunchState.WRITING):
        return False
    if batch.launch_state == Batch.LaunchState.WAITING:
        return _start(batch)
    end = scopes.slice_end(
        scopes.scope_of(batch),
        after=batch.launch_cursor,
        through=batch.launch_through,
        size=slice_size or default_slice_size(),
    )
    return _slice(batch, Window(batch.launch_cursor, end), now)


def _start(batch: Batch) -> bool:
    """Fix what must not change between slices: which devices a gray update takes. Count what is to be written."""
    size = scopes.measure(scopes.scope_of(batch), Window(0, batch.launch_through))
    waiting = Batch.objects.filter(pk=batch.pk, launch_state=Batch.LaunchState.WAITING)
    waiting.update(
        launch_state=Batch.LaunchState.WRITING, gray_ceiling=size.gray_ceiling, launch_total_count=size.device_count
    )
    return True


def _slice(batch: Batch, window: Window, now: datetime) -> bool:
    scope = scopes.scope_of(batch)
    part = make_slice(scope, window, *_not_yet_matched(batch))
    with transaction.atomic():
        matched_count = sql.lock_devices(part)
        state = sql.lock_batch(batch.pk)
        if state is None or state.launch_cursor != window.after or state.launch_state != Batch.LaunchState.WRITING:
            return state is not None and state.launch_state == Batch.LaunchState.WRITING  # another worker was faster
        if state.status not in RUNNING or (batch.finish_at is not None and now >= batch.finish_at):
            _move(batch, Batch.LaunchState.STOPPED, window.after, 0)
            return False
        written = write_slice(part, scope, new_task(batch, now), ONCE, matched_count, with_conflicts=True)
        count_slice(batch, written, now)
        is_last = window.through >= batch.launch_through
        _move(batch, Batch.LaunchState.DONE if is_last else Batch.LaunchState.WRITING, window.through, written.count)
    reconcile.repair_slice(batch.pk, window, since=now - CLOCK_TOLERANCE, now=now)
    return not is_last


def _not_yet_matched(batch: Batch) -> list[Fragment]:
    """A dynamic batch may have matched a device by its own report before the launch reached it."""
    if batch.selection == Batch.Selection.STATIC:
        return []
    text = "NOT EXISTS (SELECT 1 FROM batches_app_task m WHERE m.batch_id = %s AND m.device_id = d.id)"
    return [Fragment(text, (batch.pk,))]


def make_slice(scope: Scope, window: Window, *more: Fragment) -> sql.Slice:
    """The devices of a scope within a window of ids, with the rules of its lane, as SQL."""
    found = scopes.members(scope, window, *more)
    stuck = Fragment(
        f"{scopes.lane_of(scope, 's').text} AND NOT ({scopes.overwritable(scope, 's').text})",
        scopes.lane_of(scope, "s").values + scopes.overwritable(scope, "s").values,
    )
    return sql.Slice(
        source=found.source,
        where=found.where,
        after=window.after,
        through=window.through,
        lane=scopes.lane_of(scope, "o"),
        overwritable=scopes.overwritable(scope, "o"),
        stuck=stuck,
    )


def new_task(batch: Batch, now: datetime) -> sql.NewTask:
    """What a batch gives to each task that it makes now (architecture: `not_before` and `due_at`)."""
    start = batch.schedule_at if batch.schedule_at is not None and batch.schedule_at > now else None
    is_pushed = batch.needs_push and not batch.needs_confirm
    return sql.NewTask(
        batch_id=batch.pk,
        batch_public_id=batch.public_id,
        module_id=batch.module_id,
        is_multi_module=batch.is_multi_module,
        status=TaskStatus.CONFIRM if batch.needs_confirm else TaskStatus.QUEUED,
        timeout_minutes=batch.timeout_minutes,
        not_before=start,
        due_at=(start or now) if is_pushed else None,
        id_prefix=new_public_id(now)[:TIME_LENGTH],
        now=now,
    )


def write_slice(
    part: sql.Slice, scope: Scope, task: sql.NewTask, match_no: Fragment, matched_count: int, *, with_conflicts: bool
) -> Written:
    """End what gives way, write what fails at once, write the rest. Devices and batch are locked by the caller.

    Raises `StepChanged` where the rows written are not the devices that matched when they were locked.
    """
    held = sql.lock_open_tasks(part)
    gone = [o for o in held if o.gives_way]
    if gone and sql.overwrite(part, task) != sum(o.task_count for o in gone):
        raise StepChanged
    conflicts: Counter[str] = Counter()
    left_out_count = 0
    if len(gone) < len(held):
        if with_conflicts and scope.busy_policy != Batch.BusyPolicy.LEAVE_OUT:
            conflicts = sql.insert_conflicts(part, task, match_no)
        else:
            left_out_count = sql.count_busy(part)
    free = sql.insert_free(part, task, match_no)
    if free.task_count + conflicts.total() + left_out_count != matched_count:
        raise StepChanged
    return Written(free, conflicts, gone)


def count_slice(batch: Batch, written: Written, now: datetime) -> None:
    """Move the counters of the batch and of those that were overwritten, and tell the outbox.

    The caller's transaction.
    """
    by_batch: dict[int, Counter[str]] = {batch.pk: Counter(failed=written.conflicts.total())}
    status = TaskStatus.CONFIRM if batch.needs_confirm else TaskStatus.QUEUED
    by_batch[batch.pk][STATUS_COLUMNS[status]] += written.free.task_count
    if status == TaskStatus.QUEUED:
        by_batch[batch.pk]["queued_offline"] += written.free.offline_count
    by_package: dict[int, Counter[str]] = {batch.package_id: Counter(by_batch[batch.pk])}
    for older in written.overwritten:
        for counts in (
            by_batch.setdefault(older.batch_id, Counter()),
            by_package.setdefault(older.package_id, Counter()),
        ):
            counts["canceled"] += older.task_count
            counts[STATUS_COLUMNS[older.status]] -= older.task_count
            if older.status == TaskStatus.QUEUED and older.is_offline:
                counts["queued_offline"] -= older.task_count
    task_sql.move_batch_counts(by_batch)
    task_sql.move_package_counts(by_package)
    task_sql.move_failure_counts({(batch.pk, Reason.CONFLICT, version): n for version, n in written.conflicts.items()})
    _tell(batch, status, written, now)


def _tell(batch: Batch, status: TaskStatus, written: Written, now: datetime) -> None:
    told = [events.batch_changed(batch=batch.public_id, package=batch.package.public_id)]
    if written.free.task_count:
        told.append(events.tasks_range(batch=batch.public_id, status=status, count=written.free.task_count))
    if written.conflicts:
        told.append(
            events.tasks_range(batch=batch.public_id, status=TaskStatus.FAILED, count=written.conflicts.total())
        )
    older = Counter[int]()
    for gone in written.overwritten:
        older[gone.batch_id] += gone.task_count
    if older:
        names = dict(Batch.objects.filter(pk__in=older).values_list("pk", "public_id"))
        told += [
            events.tasks_range(batch=names[pk], status=TaskStatus.CANCELED, count=count)
            for pk, count in sorted(older.items())
        ]
    outbox.append(events=told, now=now)


def _move(batch: Batch, state: int, cursor: int, count: int) -> None:
    """Progress on the batch's locked row; `updated_at` stays, for it tells editors about each other.

    A launch that is over knows its total: devices that were left out do not count.
    """
    written = F("launch_written_count") + count
    total = F("launch_total_count") if state == Batch.LaunchState.WRITING else written
    Batch.objects.filter(pk=batch.pk).update(
        launch_state=state, launch_cursor=cursor, launch_written_count=written, launch_total_count=total
    )
