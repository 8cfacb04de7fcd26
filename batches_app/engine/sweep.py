"""Time: deadlines, scheduled starts and finishes, and the end of batches.

Each function does one bounded piece on indexed rows. Nothing is remembered between two sweeps: what is due stands in
the rows, so that a missed beat only makes it later. Batches are few (a partial index holds the open ones); tasks that
time moves go through `transitions`.
"""

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from batches_app.domain.states import BatchStatus, DeadlinePassed, Reason, ScheduleEnded, TaskStatus
from batches_app.models import Batch, BatchCounts, DeviceList, Task
from batches_app.sql import tasks as task_sql
from batches_app.transitions import STATUS_COLUMNS, Transitions
from ota_console.core.jobs import enqueue
from ota_console.outbox import commands as outbox
from ota_console.outbox import events
from packages_app.models import UpdatePackage

TASKS_AT_ONCE: Final = 500
"""Tasks in one transaction."""
LISTS_AT_ONCE: Final = 5
"""A list may have a million entries."""
UNUSED_LIST_DAYS: Final = 7
"""A device list that no batch was launched with is thrown away after this."""
WAITING: Final = (TaskStatus.CONFIRM, TaskStatus.QUEUED, TaskStatus.NOTIFIED)
"""What the finish time cancels; Upgrading devices are tracked to their end (rules.md §3)."""
WAITING_MASK: Final = 0b0111
LAUNCHING: Final = (Batch.LaunchState.WAITING, Batch.LaunchState.WRITING)
ENDED: Final = (BatchStatus.COMPLETED, BatchStatus.CANCELED)
UNFINISHED_COUNT: Final = F("counts__confirm") + F("counts__queued") + F("counts__notified") + F("counts__in_progress")


def sweep_once(*, now: datetime) -> bool:
    """Everything that is due; whether there is more to do at once."""
    start_scheduled(now=now)
    has_more = end_deadlines(now=now)
    finish_scheduled(now=now)
    complete_batches(now=now)
    return has_more


def _locked(pk: int) -> Batch:
    rows = Batch.objects.select_related("package").select_for_update(no_key=True, of=("self",))
    return rows.get(pk=pk)


def _keys(batches: QuerySet[Batch]) -> list[int]:
    return list(batches.order_by("pk").values_list("pk", flat=True))


def _save(batch: Batch, *fields: str, now: datetime) -> None:
    batch.updated_at = now
    batch.save(update_fields=[*fields, "updated_at"])
    task_sql.move_batch_counts({batch.pk: {}})
    outbox.append(events=[events.batch_changed(batch=batch.public_id, package=batch.package.public_id)], now=now)


def start_scheduled(*, now: datetime) -> int:
    """PLANNED → IN_PROGRESS at the start time; how many. Their tasks are due by themselves."""
    due = Batch.objects.filter(is_open=True, status=BatchStatus.PLANNED, schedule_at__lte=now)
    return sum(_start(pk, now) for pk in _keys(due))


def _start(pk: int, now: datetime) -> bool:
    with transaction.atomic():
        batch = _locked(pk)
        if batch.status != BatchStatus.PLANNED:
            return False
        batch.status = BatchStatus.IN_PROGRESS
        batch.started_at = now
        _save(batch, "status", "started_at", now=now)
        enqueue("batches_app.dispatch")
    return True


def end_deadlines(*, now: datetime) -> bool:
    """Fail tasks whose timer ran out (TIMEOUT, NOT_ACKNOWLEDGED), earliest first; whether there may be more."""
    due = Task.objects.filter(deadline_at__lte=now).order_by("deadline_at").values_list("pk", flat=True)
    keys = list(due[:TASKS_AT_ONCE])
    if not keys:
        return False
    with transaction.atomic():
        moves = Transitions(now)
        for task in moves.lock(Task.objects.filter(pk__in=keys)):
            moves.apply(task, DeadlinePassed())
        changed = moves.flush()
    return len(keys) == TASKS_AT_ONCE and bool(changed)


def finish_scheduled(*, now: datetime) -> int:
    """At the finish time cancel what waits, in slices, and end the retries that may not come.

    How many batches were touched.
    """
    touched = 0
    over = Batch.objects.filter(is_open=True, finish_at__lte=now).exclude(status__in=ENDED)
    for pk in _keys(over):
        touched += _cancel_waiting(pk, now)
        _end_waiting_retries(pk, now)
    return touched


def _cancel_waiting(pk: int, now: datetime) -> bool:
    with transaction.atomic():
        batch = _locked(pk)
        counts = BatchCounts.objects.values(*STATUS_COLUMNS).get(pk=pk)
        total = sum(counts[STATUS_COLUMNS[status]] for status in WAITING)
        is_asked = batch.cancel_mask & WAITING_MASK == WAITING_MASK
        if batch.status in ENDED or is_asked or (total == 0 and batch.launch_state not in LAUNCHING):
            return False
        batch.cancel_mask |= WAITING_MASK
        batch.cancel_reason = Reason.SCHEDULE_ENDED
        batch.cancel_requested_at = now
        batch.cancel_cursor = 0
        batch.cancel_done_count = 0
        batch.cancel_total_count = total
        fields = ("cancel_mask", "cancel_reason", "cancel_requested_at", "cancel_cursor", "cancel_done_count")
        _save(batch, *fields, "cancel_total_count", now=now)
        enqueue("batches_app.cancel", pk)
    return True


def _end_waiting_retries(pk: int, now: datetime) -> None:
    """Upgrading tasks that only wait for a retry: their number is bounded a sweep, the next one takes the rest."""
    waiting = Task.objects.filter(batch=pk, status=TaskStatus.IN_PROGRESS, is_retry_pending=True)
    keys = list(waiting.order_by("pk").values_list("pk", flat=True)[:TASKS_AT_ONCE])
    if not keys:
        return
    with transaction.atomic():
        moves = Transitions(now)
        for task in moves.lock(Task.objects.filter(pk__in=keys)):
            moves.apply(task, ScheduleEnded())
        moves.flush()


def complete_batches(*, now: datetime) -> int:
    """End batches with nothing left to do, and close ended ones whose last task is over (rules.md §3); how many."""
    quiet = Batch.objects.filter(is_open=True, cancel_mask=0).annotate(unfinished=UNFINISHED_COUNT).filter(unfinished=0)
    static = Q(selection=Batch.Selection.STATIC) & ~Q(launch_state__in=LAUNCHING)
    keys = _keys(quiet.filter(static | Q(status__in=ENDED)))
    return sum(_complete(pk, now) for pk in keys)


def _complete(pk: int, now: datetime) -> bool:
    with transaction.atomic():
        batch = _locked(pk)
        counts = BatchCounts.objects.values(*STATUS_COLUMNS, "ever_notified").get(pk=pk)
        is_busy = any(counts[STATUS_COLUMNS[status]] for status in TaskStatus if status < TaskStatus.SUCCEEDED)
        if is_busy or batch.cancel_mask:
            return False
        if batch.launch_state in LAUNCHING:
            if batch.status not in ENDED:
                return False
            batch.launch_state = Batch.LaunchState.STOPPED
        if batch.status not in ENDED:
            _end(batch, counts, now)
        batch.is_open = False
        _save(batch, "status", "ended_at", "end_reason", "is_open", "launch_state", now=now)
        if batch.kind == Batch.Kind.VERIFY:
            _settle_package(batch, counts, now)
    return True


def _end(batch: Batch, counts: dict[str, int], now: datetime) -> None:
    """COMPLETED; CANCELED where every task was canceled, unless it was the finish time that did it (rules.md §3)."""
    total = sum(counts[name] for name in STATUS_COLUMNS)
    is_finished = batch.finish_at is not None and now >= batch.finish_at
    batch.ended_at = now
    batch.status = BatchStatus.COMPLETED
    if is_finished:
        batch.end_reason = "finish_time"
    elif total == 0:
        batch.end_reason = "nothing_matched"
    elif counts["canceled"] == total:
        batch.status = BatchStatus.CANCELED
        batch.end_reason = "all_canceled"


def _settle_package(batch: Batch, counts: dict[str, int], now: datetime) -> None:
    """What a verify batch says of its package (rules.md §3), unless another one is still at it."""
    others = Batch.objects.filter(package=batch.package_id, kind=Batch.Kind.VERIFY, is_open=True)
    if others.exists():
        return
    total = sum(counts[name] for name in STATUS_COLUMNS)
    status = UpdatePackage.Status.VERIFICATION_FAILED
    if total and counts["succeeded"] == total:
        status = UpdatePackage.Status.VERIFIED
    elif batch.status == BatchStatus.CANCELED and counts["ever_notified"] == 0:
        status = UpdatePackage.Status.NOT_VERIFIED
    verifying = UpdatePackage.objects.filter(pk=batch.package_id, status=UpdatePackage.Status.VERIFYING)
    if verifying.update(status=status, updated_at=now):
        outbox.append(events=[events.package_changed(package=batch.package.public_id)], now=now)


def purge_lists(*, now: datetime) -> int:
    """Throw away device lists that nobody launched a batch with; how many."""
    launched = Batch.objects.filter(device_list=OuterRef("pk"))
    old = DeviceList.objects.filter(~Exists(launched), created_at__lt=now - timedelta(days=UNUSED_LIST_DAYS))
    with transaction.atomic():
        keys = list(old.order_by("pk").values_list("pk", flat=True)[:LISTS_AT_ONCE])
        DeviceList.objects.filter(pk__in=keys).delete()
    return len(keys)
