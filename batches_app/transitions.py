"""Moving tasks: lock them, let `domain.states.decide` decide, write facts, counters, history and events.

All in one transaction. Everything that changes a single task comes through here: device messages, people, programs
and timers. Bulk statements over whole batches (launch, cancel) have their own guarded SQL, made from the same table
of states. This module decides nothing itself and publishes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from django.db.models import QuerySet

from batches_app.domain.states import (
    SUCCEEDED,
    BatchStatus,
    Decision,
    Event,
    Policy,
    Reason,
    TaskFacts,
    TaskStatus,
    Verdict,
    decide,
    is_unfinished,
)
from batches_app.models import Batch, Task
from batches_app.sql import tasks as sql
from ota_console.core.db import time_text
from ota_console.outbox import commands as outbox
from ota_console.outbox import events

STATUS_COLUMNS: Final = ("confirm", "queued", "notified", "in_progress", "succeeded", "failed", "canceled")
_TIMES: Final = tuple(name for name, kind in sql.FACT_COLUMNS if kind == "timestamptz")
_STATUSES: Final = tuple(TaskStatus)
_IDENTITY: Final = ("id", "public_id", "batch_id", "device_id", "device_name", "module_id")
_FACTS: Final = tuple(name for name in TaskFacts._fields if name != "policy")


@dataclass(frozen=True, slots=True)
class BatchContext:
    """What a task needs to know of its batch."""

    id: int
    public_id: str
    package_id: int
    product_id: int
    policy: Policy


@dataclass(slots=True)
class LockedTask:
    """A task whose row is locked by this transaction. `facts` is what it is now, `before` what the database says."""

    id: int
    public_id: str
    batch: BatchContext
    device_id: int | None
    device_name: str
    module_id: int
    before: TaskFacts
    facts: TaskFacts


@dataclass(slots=True)
class _Line:
    task: LockedTask
    at: datetime
    kind: int
    status: int
    detail: dict[str, str | int]


def policy_of(batch: Batch) -> Policy:
    """The rules that a batch gives to its tasks. Expects `package` to be loaded."""
    allowed = frozenset(batch.source_versions) or None
    is_delta = batch.package.kind == batch.package.Kind.DELTA
    if is_delta and batch.package.source_version:
        allowed = frozenset({batch.package.source_version})
    return Policy(
        target_version=batch.target_version,
        allowed_sources=allowed,
        is_delta=is_delta,
        retry_limit=batch.retry_count or 0,
        retry_interval_minutes=batch.retry_interval_minutes or 0,
        notify_timeout_minutes=batch.notify_timeout_minutes,
        needs_push=batch.needs_push,
        needs_confirm=batch.needs_confirm,
        is_paused=batch.paused_at is not None,
        cancel_mask=batch.cancel_mask,
        schedule_at=batch.schedule_at,
        finish_at=batch.finish_at,
    )


def context_of(batch: Batch) -> BatchContext:
    """See `policy_of`."""
    return BatchContext(batch.pk, batch.public_id, batch.package_id, batch.product_id, policy_of(batch))


class Transitions:
    """One unit of work: lock, apply, flush. Use inside `transaction.atomic()`; `now` is aware UTC."""

    def __init__(self, now: datetime) -> None:
        """Start empty."""
        self.now = now
        self._batches: dict[int, BatchContext] = {}
        self._touched: dict[int, LockedTask] = {}
        self._lines: list[_Line] = []

    def lock(self, tasks: QuerySet[Task]) -> list[LockedTask]:
        """Lock the rows of a queryset in id order and read their facts; at most two queries."""
        locked = tasks.select_for_update(no_key=True, of=("self",)).order_by("id")
        rows = list(locked.values_list(*_IDENTITY, *_FACTS))
        self._load_batches({row[2] for row in rows})
        return [self._task(row) for row in rows]

    def _load_batches(self, ids: set[int]) -> None:
        missing = ids - self._batches.keys()
        if missing:
            found = Batch.objects.filter(pk__in=missing).select_related("package")
            self._batches.update({batch.pk: context_of(batch) for batch in found})

    def _task(self, row: Sequence[Any]) -> LockedTask:
        batch = self._batches[row[2]]
        facts = TaskFacts(_STATUSES[row[6]], batch.policy, *row[7:])
        if facts.reason:
            facts = facts._replace(reason=Reason(facts.reason))
        return LockedTask(row[0], row[1], batch, row[3], row[4], row[5], facts, facts)

    def apply(self, task: LockedTask, event: Event) -> Decision:
        """Decide one event on a locked task and remember what is to be written."""
        decision = decide(task.facts, event, self.now)
        if decision.verdict is Verdict.APPLIED:
            task.facts = decision.facts
            self._touched[task.id] = task
            self._lines += [
                _Line(task, line.at or self.now, line.kind, decision.facts.status, line.detail)
                for line in decision.history
            ]
        return decision

    def flush(self) -> list[LockedTask]:
        """Write everything that was applied; answers the tasks whose facts changed. A bounded number of statements."""
        changed = [task for task in self._touched.values() if task.facts != task.before]
        self._write_facts(changed)
        self._write_history()
        moved = [task for task in changed if _count_key(task.before) != _count_key(task.facts)]
        self._write_counts(moved)
        self._free_lanes(moved)
        self._tell(changed)
        self._touched = {}
        self._lines = []
        return changed

    def _write_facts(self, changed: Iterable[LockedTask]) -> None:
        full: list[dict[str, Any]] = []
        progress: list[dict[str, Any]] = []
        for task in changed:
            after = task.facts
            if after == task.before._replace(
                progress=after.progress, progress_text=after.progress_text, progress_at=after.progress_at
            ):
                progress.append(
                    {
                        "id": task.id,
                        "progress": after.progress,
                        "progress_text": after.progress_text,
                        "progress_at": time_text(after.progress_at),
                    }
                )
            else:
                full.append(_fact_row(task.id, after))
        sql.update_facts(progress, sql.PROGRESS_COLUMNS, self.now)
        sql.update_facts(full, sql.FACT_COLUMNS, self.now)

    def _write_history(self) -> None:
        times: dict[datetime, str] = {}
        for line in self._lines:
            times.setdefault(line.at, str(time_text(line.at)))
        sql.insert_history(
            [
                sql.HistoryRow(line.task.id, times[line.at], line.kind, line.status, orjson.dumps(line.detail).decode())
                for line in self._lines
            ]
        )

    def _write_counts(self, moved: Iterable[LockedTask]) -> None:
        by_batch: defaultdict[int, Counter[str]] = defaultdict(Counter)
        by_package: defaultdict[int, Counter[str]] = defaultdict(Counter)
        failures: Counter[tuple[int, int, str]] = Counter()
        for task in moved:
            for sign, facts in ((-1, task.before), (1, task.facts)):
                for column in _columns(facts):
                    by_batch[task.batch.id][column] += sign
                    by_package[task.batch.package_id][column] += sign
                if facts.status == TaskStatus.FAILED:
                    failures[task.batch.id, facts.reason, facts.source_version] += sign
        sql.move_batch_counts(by_batch)
        sql.move_package_counts(by_package)
        sql.move_failure_counts(failures)

    def _free_lanes(self, moved: Iterable[LockedTask]) -> None:
        """A lane that becomes free is looked at again by the product's running dynamic batches (rules.md §7)."""
        ended = [
            t for t in moved if is_unfinished(t.before.status) and not is_unfinished(t.facts.status) and t.device_id
        ]
        if not ended:
            return
        lanes = set(
            Batch.objects.filter(
                selection=Batch.Selection.DYNAMIC,
                status=BatchStatus.IN_PROGRESS,
                product__in={t.batch.product_id for t in ended},
            ).values_list("product_id", "module_id")
        )
        wanted = [
            (task.device_id, module)
            for task in ended
            for product, module in lanes
            if product == task.batch.product_id and task.device_id is not None
        ]
        sql.request_matches(wanted, is_new_version=False, now=self.now)

    def _tell(self, changed: Iterable[LockedTask]) -> None:
        told = [
            events.task_changed(
                task=task.public_id,
                batch=task.batch.public_id,
                device=task.device_name,
                status=task.facts.status,
                previous=task.before.status,
                progress=task.facts.progress,
            )
            for task in changed
        ]
        if told:
            outbox.append(events=told, now=self.now)


def _fact_row(task_id: int, facts: TaskFacts) -> dict[str, Any]:
    row = facts._asdict()
    del row["policy"], row["timeout_minutes"]
    for name in _TIMES:
        if row[name] is not None:
            row[name] = time_text(row[name])
    row["id"] = task_id
    return row


def _columns(facts: TaskFacts) -> list[str]:
    """The counters that a task with these facts adds one to."""
    columns = [STATUS_COLUMNS[facts.status]]
    if facts.status == TaskStatus.QUEUED and facts.is_offline:
        columns.append("queued_offline")
    if facts.late_success_at is not None:
        columns.append("late_success")
    if facts.rolled_back_at is not None:
        columns.append("rolled_back")
    if facts.notified_at is not None:
        columns.append("ever_notified")
    return columns


def _count_key(facts: TaskFacts) -> tuple[object, ...]:
    """Two facts with the same key stand in the same counters."""
    return (
        facts.status,
        facts.status == TaskStatus.QUEUED and facts.is_offline,
        facts.late_success_at is None,
        facts.rolled_back_at is None,
        facts.notified_at is None,
        (facts.reason, facts.source_version) if facts.status > SUCCEEDED else None,
    )
