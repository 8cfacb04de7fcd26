"""Moving tasks: lock them, let `domain.states.decide` decide, write facts, counters, history and events.

This file is long because it is one thing: one unit of work, from the lock to the last statement.

Tasks with equal facts share one value, so that an event is decided once for all of them (hot path). All in one
transaction. Everything that changes a single task comes through here: device messages, people, programs
and timers. Bulk statements over whole batches (launch, cancel) have their own guarded SQL, made from the same table
of states. This module decides nothing itself and publishes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet

from batches_app.domain.states import (
    FAILED,
    QUEUED,
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
from batches_app.selectors.task_facts import policy_of
from batches_app.sql import tasks as sql
from ota_console.outbox import commands as outbox
from ota_console.outbox import events

STATUS_COLUMNS: Final = ("confirm", "queued", "notified", "in_progress", "succeeded", "failed", "canceled")
_STATUSES: Final = tuple(TaskStatus)
_NAMES: Final = TaskFacts._fields
_WRITTEN: Final = tuple(sorted(_NAMES.index(name) for name, _ in sql.FACT_COLUMNS))
"""Positions of the facts that a decision may change."""
_COUNTED: Final = frozenset(
    _NAMES.index(name)
    for name in (
        *("status", "is_offline", "source_version", "notified_at", "reason"),
        *("late_success_at", "rolled_back_at"),
    )
)
"""Positions of the facts that decide where a task is counted (`_places`)."""
LARGE_GROUP: Final = 20
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


class _Change(NamedTuple):
    """Tasks of one batch that all had the same facts and now have the same others."""

    tasks: list[LockedTask]
    before: TaskFacts
    after: TaskFacts
    positions: Positions
    """Of the facts that differ."""


_Move = tuple[_Change, _Places, _Places]


def context_of(batch: Batch) -> BatchContext:
    """See `policy_of`."""
    return BatchContext(batch.pk, batch.public_id, batch.package_id, batch.product_id, policy_of(batch))


class Transitions:
    """One unit of work: lock, apply, flush. Use inside `transaction.atomic()`; `now` is aware UTC."""

    def __init__(self, now: datetime) -> None:
        """Start empty."""
        self.now = now
        self._batches: dict[int, BatchContext] = {}
        self._facts: dict[tuple[int, tuple[Any, ...]], TaskFacts] = {}
        """By batch and columns."""
        self._decided: dict[tuple[int, type[Event], Event], tuple[TaskFacts, Decision]] = {}
        """By the facts' identity (they are kept beside the decision) and the event."""
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

    def _tasks(self, rows: Sequence[tuple[Any, ...]]) -> list[LockedTask]:
        self._load_batches({row[2] for row in rows})
        return [self._task(row) for row in rows]

    def _load_batches(self, ids: set[int]) -> None:
        missing = ids - self._batches.keys()
        if missing:
            found = Batch.objects.filter(pk__in=missing).select_related("package")
            self._batches.update({batch.pk: context_of(batch) for batch in found})

    def _task(self, row: tuple[Any, ...]) -> LockedTask:
        batch = self._batches[row[2]]
        columns = row[6:]
        facts = self._facts.get((batch.id, columns))
        if facts is None:
            facts = TaskFacts(_STATUSES[row[6]], batch.policy, *row[7:])
            if facts.reason:
                facts = facts._replace(reason=Reason(facts.reason))
            self._facts[batch.id, columns] = facts
        return LockedTask(row[0], row[1], batch, row[3], row[4], row[5], facts, facts)

    def apply(self, task: LockedTask, event: Event) -> Decision:
        """Decide one event on a locked task and remember what is to be written."""
        key = (id(task.facts), type(event), event)
        known = self._decided.get(key)
        if known is None:
            known = self._decided[key] = (task.facts, decide(task.facts, event, self.now))
        decision = known[1]
        if decision.verdict is Verdict.APPLIED:
            task.facts = decision.facts
            self._touched[task.id] = task
            for line in decision.history:
                self._lines.append((task.id, line.at or self.now, line.kind, decision.facts.status, line.detail))
        return decision

    def flush(self) -> list[LockedTask]:
        """Write everything that was applied; answers the tasks whose facts changed. A bounded number of statements."""
        changes = _changes(self._touched.values())
        sql.insert_history(self._lines)  # first: its foreign keys find the rows locked, not changed (hot path)
        self._write_facts(changes)
        moves = _moves(changes)
        self._free_lanes([change for change, _, _ in moves])
        self._tell(changes)
        self._write_counts(moves)  # last: rows that others wait for (hot path)
        self._touched = {}
        self._lines = []
        return [task for change in changes for task in change.tasks]

    def _write_facts(self, changes: Iterable[_Change]) -> None:
        """One statement for all tasks that changed in the same facts: what stays is not written (hot path)."""
        for positions, members in _statements(changes).items():
            ids = [task.id for change in members for task in change.tasks]
            cells = [[fact for c in members for fact in [c.after[i]] * len(c.tasks)] for i in positions]
            sql.update_facts(ids, [_NAMES[i] for i in positions], cells, self.now)

    def _write_counts(self, moves: Iterable[_Move]) -> None:
        by_batch: defaultdict[int, Counter[str]] = defaultdict(Counter)
        by_package: defaultdict[int, Counter[str]] = defaultdict(Counter)
        failures: Counter[tuple[int, int, str]] = Counter()
        for change, before, after in moves:
            batch, count = change.tasks[0].batch, len(change.tasks)
            for places, delta in ((before, -count), (after, count)):
                for column in places.columns:
                    by_batch[batch.id][column] += delta
                    by_package[batch.package_id][column] += delta
                if places.status == TaskStatus.FAILED:
                    failures[batch.id, places.reason, places.source_version] += delta
        sql.move_batch_counts(by_batch)
        sql.move_package_counts(by_package)
        sql.move_failure_counts(failures)

    def _free_lanes(self, changes: Iterable[_Change]) -> None:
        """A lane that becomes free is looked at again by the product's running dynamic batches (rules.md §7)."""
        ends = (c for c in changes if is_unfinished(c.before.status) and not is_unfinished(c.after.status))
        ended = [task for change in ends for task in change.tasks if task.device_id]
        if not ended:
            return
        lanes = sql.dynamic_lanes({task.batch.product_id for task in ended})
        wanted = [
            (task.device_id, module)
            for task in ended
            for product, module in lanes
            if product == task.batch.product_id and task.device_id is not None
        ]
        sql.request_matches(wanted, is_new_version=False, now=self.now)

    def _tell(self, changes: Iterable[_Change]) -> None:
        rows: defaultdict[str, list[events.TaskRow]] = defaultdict(list)
        for tasks, before, after, _ in changes:
            same = (int(after.status), int(before.status), after.progress)
            rows[tasks[0].batch.public_id] += [(task.public_id, task.device_name, *same) for task in tasks]
        told = [events.tasks_changed(batch=batch, rows=listed) for batch, listed in rows.items()]
        outbox.append(events=told, now=self.now)


def _changes(touched: Iterable[LockedTask]) -> list[_Change]:
    """What happened to the touched tasks; those whose facts are as before are left out."""
    pairs: defaultdict[tuple[int, int], list[LockedTask]] = defaultdict(list)
    for task in touched:
        pairs[id(task.before), id(task.facts)].append(task)
    found = []
    for tasks in pairs.values():
        before, after = tasks[0].before, tasks[0].facts
        positions = tuple(i for i in _WRITTEN if before[i] != after[i])
        if positions:
            found.append(_Change(tasks, before, after, positions))
    return found


def _moves(changes: Iterable[_Change]) -> list[_Move]:
    """Changes after which tasks are counted elsewhere, with both places."""
    moves = [(c, _places(c.before), _places(c.after)) for c in changes if not _COUNTED.isdisjoint(c.positions)]
    return [move for move in moves if move[1] != move[2]]


def _statements(changes: Iterable[_Change]) -> dict[Positions, list[_Change]]:
    """By the facts that differ: large groups get a statement of their own, the others share one for all their facts."""
    groups: defaultdict[Positions, list[_Change]] = defaultdict(list)
    for change in changes:
        groups[change.positions].append(change)
    joined = {at: members for at, members in groups.items() if sum(len(c.tasks) for c in members) >= LARGE_GROUP}
    small = [positions for positions in groups if positions not in joined]
    if small:
        together = tuple(sorted(set[int]().union(*small)))
        joined[together] = joined.get(together, []) + [change for at in small for change in groups[at]]
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
