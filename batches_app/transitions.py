"""Moving tasks: lock them, let `domain.states.decide` decide, write facts, counters, history and events.

This file is long because it is one thing: one unit of work, from the lock to the last statement.

All in one transaction. Everything that changes a single task comes through here: device messages, people, programs
and timers. Bulk statements over whole batches (launch, cancel) have their own guarded SQL, made from the same table
of states. This module decides nothing itself and publishes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import is_not
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet

from batches_app.domain.states import (
    FAILED,
    QUEUED,
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
from ota_console.outbox import commands as outbox
from ota_console.outbox import events

STATUS_COLUMNS: Final = ("confirm", "queued", "notified", "in_progress", "succeeded", "failed", "canceled")
_STATUSES: Final = tuple(TaskStatus)
_NAMES: Final = TaskFacts._fields
_WRITTEN: Final = frozenset(_NAMES.index(name) for name, _ in sql.FACT_COLUMNS)
"""Positions of the facts that a decision may change."""
_COUNTED: Final = frozenset(
    _NAMES.index(name)
    for name in (
        *("status", "is_offline", "source_version", "notified_at", "reason"),
        *("late_success_at", "rolled_back_at"),
    )
)
"""Positions of the facts that decide where a task is counted (`_places`)."""
ROWS_FOR_A_STATEMENT: Final = 20
"""Fewer tasks than this that changed in the same facts share a statement with others."""


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


class _Places(NamedTuple):
    """Tasks with equal places stand in the same counters."""

    status: int
    is_queued_offline: bool
    is_late_success: bool
    is_rolled_back: bool
    was_notified: bool
    reason: int
    source_version: str

    @property
    def columns(self) -> list[str]:
        """The counters that such a task adds one to."""
        flags = (
            (self.is_queued_offline, "queued_offline"),
            (self.is_late_success, "late_success"),
            (self.is_rolled_back, "rolled_back"),
            (self.was_notified, "ever_notified"),
        )
        return [STATUS_COLUMNS[self.status], *(name for is_so, name in flags if is_so)]


_Line = tuple[int, datetime, int, int, Mapping[str, Any]]
"""Of a task's history: the values of `sql.HISTORY_COLUMNS`."""
Positions = tuple[int, ...]
"""Of facts in `TaskFacts`, ascending."""
_Groups = Mapping[Positions, Sequence[LockedTask]]
"""Tasks by the facts that changed."""
_Move = tuple[LockedTask, _Places, _Places]


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
        """Lock the rows of a queryset in id order and read their facts."""
        locked = tasks.select_for_update(no_key=True, of=("self",)).order_by("id")
        return self._tasks(list(locked.values_list(*sql.READ_COLUMNS)))

    def lock_ids(self, ids: Iterable[int]) -> list[LockedTask]:
        """Lock tasks by key, as `lock`; fast for thousands."""
        return self._tasks(sql.lock_ids(ids))

    def lock_open(self, devices: Iterable[int]) -> list[LockedTask]:
        """Lock the unfinished tasks of devices, as `lock`; fast for thousands."""
        return self._tasks(sql.lock_open(devices))

    def lock_ended(self, devices: Iterable[int]) -> list[LockedTask]:
        """Lock the ended tasks of devices that a version report may still mark, as `lock`; fast for thousands."""
        return self._tasks(sql.lock_ended(devices))

    def _tasks(self, rows: Sequence[Sequence[Any]]) -> list[LockedTask]:
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
                (task.id, line.at or self.now, line.kind, decision.facts.status, line.detail)
                for line in decision.history
            ]
        return decision

    def flush(self) -> list[LockedTask]:
        """Write everything that was applied; answers the tasks whose facts changed. A bounded number of statements."""
        changed = [task for task in self._touched.values() if task.facts != task.before]
        groups = _by_changes(changed)
        self._write_history()  # first: its foreign keys find the rows locked, not changed (hot path)
        self._write_facts(groups)
        moved = _moves(groups)
        self._free_lanes([task for task, _, _ in moved])
        self._tell(changed)
        self._write_counts(moved)  # last: rows that others wait for (hot path)
        self._touched = {}
        self._lines = []
        return changed

    def _write_facts(self, groups: _Groups) -> None:
        """One statement for all tasks that changed in the same facts: what stays is not written (hot path)."""
        for positions, tasks in _join_small(groups).items():
            cells = [[task.facts[i] for task in tasks] for i in positions]
            sql.update_facts([task.id for task in tasks], [_NAMES[i] for i in positions], cells, self.now)

    def _write_history(self) -> None:
        sql.insert_history(self._lines)

    def _write_counts(self, moved: Iterable[_Move]) -> None:
        by_batch: defaultdict[int, Counter[str]] = defaultdict(Counter)
        by_package: defaultdict[int, Counter[str]] = defaultdict(Counter)
        failures: Counter[tuple[int, int, str]] = Counter()
        counted = Counter((task.batch.id, task.batch.package_id, before, after) for task, before, after in moved)
        for (batch, package, before, after), count in counted.items():
            for places, sign in ((before, -count), (after, count)):
                for column in places.columns:
                    by_batch[batch][column] += sign
                    by_package[package][column] += sign
                if places.status == TaskStatus.FAILED:
                    failures[batch, places.reason, places.source_version] += sign
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
            events.tasks_changed(batch=batch, rows=[_told(task) for task in tasks])
            for batch, tasks in groupby(changed, key=lambda task: task.batch.public_id)
        ]
        outbox.append(events=told, now=self.now)


def _told(task: LockedTask) -> events.TaskRow:
    facts = task.facts
    return task.public_id, task.device_name, facts.status, task.before.status, facts.progress


def _by_changes(changed: Iterable[LockedTask]) -> dict[Positions, list[LockedTask]]:
    """Changed tasks by the facts that changed."""
    groups: defaultdict[tuple[bool, ...], list[LockedTask]] = defaultdict(list)
    for task in changed:
        groups[tuple(map(is_not, task.before, task.facts))].append(task)  # an equal value may be written once more
    found: defaultdict[Positions, list[LockedTask]] = defaultdict(list)
    for flags, tasks in groups.items():
        positions = tuple(i for i, is_changed in enumerate(flags) if is_changed and i in _WRITTEN)
        found[positions] += tasks
    return found


def _moves(groups: _Groups) -> list[_Move]:
    """Tasks that are now counted elsewhere, with both places."""
    candidates = [task for positions, tasks in groups.items() if not _COUNTED.isdisjoint(positions) for task in tasks]
    moves = [(task, _places(task.before), _places(task.facts)) for task in candidates]
    return [move for move in moves if move[1] != move[2]]


def _join_small(groups: _Groups) -> dict[Positions, list[LockedTask]]:
    """The groups that deserve a statement of their own, and all others in one that writes the facts of each."""
    joined = {positions: list(tasks) for positions, tasks in groups.items() if len(tasks) >= ROWS_FOR_A_STATEMENT}
    small = [positions for positions in groups if positions not in joined]
    if small:
        together = tuple(sorted(set[int]().union(*small)))
        joined[together] = joined.get(together, []) + [task for positions in small for task in groups[positions]]
    return joined


def _places(facts: TaskFacts) -> _Places:
    """Where a task with these facts is counted."""
    status = facts.status
    is_failed = status == FAILED
    return _Places(
        status,
        status == QUEUED and facts.is_offline,
        facts.late_success_at is not None,
        facts.rolled_back_at is not None,
        facts.notified_at is not None,
        facts.reason if is_failed else 0,
        facts.source_version if is_failed else "",
    )
