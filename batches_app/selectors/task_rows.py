"""Lists of device updates, a page at a time: which ones, in which order, and each in the words of a table row.

A page costs one index scan per shown status and one read of its rows, whatever the size of the batch. Reads only.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _

from batches_app.domain.reasons import REASONS, label, reason_text
from batches_app.domain.states import Reason, TaskStatus, is_unfinished
from batches_app.models import BatchCounts, Task
from batches_app.selectors.counts import as_counts
from batches_app.sql import pages
from batches_app.sql.fragments import Fragment
from devices_app.models import ModuleVersion

PAGE_SIZE: Final = 100
"""Rows that a table shows before "Load next 100": more than a screen, little enough to be drawn at once."""
PAIRS_PER_STATEMENT: Final = 70
"""Ten batches in all their statuses; SQLite joins at most 500 parts."""

FORMS: Final = ("QUEUED_PLAIN", "QUEUED_OFFLINE", "QUEUED_SCHEDULED")
"""The three forms of To Be Pushed, as filters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """What a list of device updates is narrowed to. Empty: everything."""

    states: tuple[TaskStatus, ...] = ()
    form: str = ""
    """One of `FORMS`: only To Be Pushed of this form."""
    reason: Reason | None = None
    source_version: str = ""
    search: str = ""
    """Part of a device name."""

    @property
    def shown_states(self) -> tuple[TaskStatus, ...]:
        """The statuses that are read."""
        if self.form:
            return (TaskStatus.QUEUED,)
        return self.states or tuple(TaskStatus)

    @property
    def is_narrow(self) -> bool:
        """Whether counters cannot say how many rows there are."""
        return bool(self.reason is not None or self.source_version or self.search)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """A device update in words."""

    public_id: str
    batch: str
    device_name: str
    source_version: str
    target_version: str
    current_version: str
    status: str
    """The name of the status."""
    label: str
    detail: str
    """What stands in brackets after "To Be Pushed"; empty else."""
    note: str
    """Why, or what it waits for."""
    progress: int | None
    attempt: str
    """As in "2 of 3"; "–" before the first push."""
    at: datetime
    blocker: str
    """Public id of the batch whose update was in the way: Conflict. Empty else."""

    @property
    def is_open(self) -> bool:
        return is_unfinished(TaskStatus[self.status])

    @property
    def is_reupgradable(self) -> bool:
        return self.status in {"FAILED", "CANCELED"}


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Rows, and the public id of the last one where more follow."""

    rows: tuple[TaskRow, ...]
    after: str


def batch_page(*, batch_id: int, wanted: TaskFilter, after: str, now: datetime) -> TaskPage:
    """The next rows of a batch, oldest first; `after` is the public id of the last row seen. Three queries."""
    start = _key_of(after)
    return _as_page(_keys([(batch_id, status, start) for status in wanted.shown_states], wanted), now)


def package_page(*, batch_ids: Sequence[int], wanted: TaskFilter, after: str, now: datetime) -> TaskPage:
    """The next rows of a package: newest batch first, each in order of creation. `batch_ids` are newest first.

    One statement for every `PAIRS_PER_STATEMENT` statuses in which a batch has tasks, until the page is full.
    """
    last = Task.objects.filter(public_id=after).values_list("batch_id", "pk").first() if after else None
    left = [pk for pk in batch_ids if last is None or pk <= last[0]]
    found: list[int] = []
    for part in _in_parts(_occupied(left, wanted.shown_states)):
        pairs = [(pk, status, last[1] if last and pk == last[0] else 0) for pk, status in part]
        found += _keys(pairs, wanted)
        if len(found) > PAGE_SIZE:
            break
    return _as_page(found, now)


def _occupied(batch_ids: Sequence[int], states: Sequence[TaskStatus]) -> list[tuple[int, TaskStatus]]:
    """Each batch with the statuses in which it has tasks, by its counters. One query."""
    rows = BatchCounts.objects.filter(batch_id__in=batch_ids).order_by("-batch_id")
    return [(row.batch_id, status) for row in rows for status in states if as_counts(row)[status.name]]


def _in_parts(pairs: Sequence[tuple[int, TaskStatus]]) -> Iterator[list[tuple[int, TaskStatus]]]:
    """Whole batches together, since a page is in order of batches."""
    part: list[tuple[int, TaskStatus]] = []
    for pair in pairs:
        if len(part) >= PAIRS_PER_STATEMENT and pair[0] != part[-1][0]:
            yield part
            part = []
        part.append(pair)
    if part:
        yield part


def single_rows(*, public_ids: Collection[str], batch_id: int, now: datetime) -> tuple[TaskRow, ...]:
    """Named rows of a batch, for a row that is drawn again and for a dialog about ticked ones."""
    found = Task.objects.filter(public_id__in=public_ids, batch_id=batch_id).values_list("pk", flat=True)
    return _rows(list(found), now)


def _key_of(public_id: str) -> int:
    """0 for an unknown id: the list starts again."""
    return Task.objects.filter(public_id=public_id).values_list("pk", flat=True).first() or 0 if public_id else 0


def _keys(pairs: Sequence[tuple[int, TaskStatus, int]], wanted: TaskFilter) -> list[int]:
    rules, limit = _rules(wanted), PAGE_SIZE + 1
    scans = [
        pages.scan(batch_id=batch_id, status=status, after=after, rules=rules, limit=limit)
        for batch_id, status, after in pairs
    ]
    return pages.first_of(scans, limit=limit)


def _as_page(keys: Sequence[int], now: datetime) -> TaskPage:
    rows = _rows(keys[:PAGE_SIZE], now) if keys else ()
    return TaskPage(rows, rows[-1].public_id if len(keys) > PAGE_SIZE else "")


def _rules(wanted: TaskFilter) -> list[Fragment]:
    rules = []
    if wanted.form in FORMS[:2]:
        rules.append(Fragment("is_offline" if wanted.form == "QUEUED_OFFLINE" else "NOT is_offline"))
    if wanted.reason is not None:
        rules.append(Fragment("reason = %s", (wanted.reason,)))
    if wanted.source_version:
        rules.append(Fragment("source_version = %s", (wanted.source_version,)))
    if wanted.search:
        rules.append(pages.name_contains(wanted.search))
    return rules


def _rows(ids: Sequence[int], now: datetime) -> tuple[TaskRow, ...]:
    found = Task.objects.filter(pk__in=ids).select_related("batch", "blocker__batch").order_by("-batch_id", "pk")
    tasks = list(found)
    return tuple(_row(task, versions, now) for versions in [_current_versions(tasks)] for task in tasks)


def _current_versions(tasks: Sequence[Task]) -> dict[tuple[int, int], str]:
    devices = {task.device_id for task in tasks if task.device_id is not None}
    modules = {task.module_id for task in tasks}
    found = ModuleVersion.objects.filter(device_id__in=devices, module_id__in=modules)
    return {
        (device, module): version for device, module, version in found.values_list("device_id", "module_id", "version")
    }


def _row(task: Task, versions: dict[tuple[int, int], str], now: datetime) -> TaskRow:
    name, detail = task_label(task, now)
    return TaskRow(
        public_id=task.public_id,
        batch=task.batch.public_id,
        device_name=task.device_name,
        source_version=task.source_version,
        target_version=task.batch.target_version,
        current_version=versions.get((task.device_id or 0, task.module_id), ""),
        status=TaskStatus(task.status).name,
        label=name,
        detail=detail,
        note=task_note(task, now),
        progress=task.progress,
        attempt=task_attempt(task),
        at=task.updated_at,
        blocker=_blocking_batch(task),
    )


def _blocking_batch(task: Task) -> str:
    is_conflict = task.status == TaskStatus.FAILED and task.reason == Reason.CONFLICT
    return task.blocker.batch.public_id if is_conflict and task.blocker is not None else ""


def task_label(task: Task, now: datetime) -> tuple[str, str]:
    """The seed's label, and what stands in brackets behind it. Expects `batch` to be loaded."""
    schedule = task.batch.schedule_at
    local = None if schedule is None else timezone.localtime(schedule)
    text = label(TaskStatus(task.status), is_offline=task.is_offline, schedule_at=local, now=now)
    full = _(text.message) % text.values if text.values else _(text.message)
    name, bracket, rest = full.partition(" (")
    return name, f"{bracket}{rest}".strip()


def task_attempt(task: Task) -> str:
    """As in "1 of 2" where the batch retries, "1" where it does not, "–" before the first push. Expects `batch`."""
    if not task.push_no:
        return "–"
    number = task.attempt + (0 if task.is_retry_pending else 1)
    limit = task.batch.retry_count
    return _("%(number)d of %(limit)d") % {"number": number, "limit": limit + 1} if limit else str(number)


def task_note(task: Task, now: datetime) -> str:
    """Why it stands there, in a few words; the device's own text in quotes. Expects `batch` to be loaded."""
    status = TaskStatus(task.status)
    if status is TaskStatus.FAILED:
        note = _quoted(_reason(task), task.reason_text)
        return _("%(note)s; updated later") % {"note": note} if task.late_success_at else note
    if status is TaskStatus.CANCELED:
        return _("%(note)s; updated later") % {"note": _reason(task)} if task.late_success_at else _reason(task)
    if status is TaskStatus.SUCCEEDED:
        said = _("Reported %(version)s") % {"version": task.batch.target_version}
        return _("%(note)s; rolled back since") % {"note": said} if task.rolled_back_at else said
    return _retry_note(task, now) if task.is_retry_pending else _waiting_note(task, status)


def _reason(task: Task) -> str:
    code = f"\u2212{-task.reason} " if task.reason < 0 else ""
    words = REASONS[Reason(task.reason)]
    return code + (_(words) if words else "")


def _quoted(note: str, text: str) -> str:
    return f"{note}, “{text}”" if text else note


def _retry_note(task: Task, now: datetime) -> str:
    failure = reason_text(Reason(task.reason)) if not REASONS[Reason(task.reason)] else _reason(task)
    if task.not_before is not None and task.not_before > now:
        time = timezone.localtime(task.not_before).strftime("%H:%M:%S")
        return _("Retrying at %(time)s, last failure: %(failure)s") % {"time": time, "failure": failure}
    if not task.batch.needs_push:
        return _("Waiting for the device to ask again, last failure: %(failure)s") % {"failure": failure}
    return _("Retrying now, last failure: %(failure)s") % {"failure": failure}


def _waiting_note(task: Task, status: TaskStatus) -> str:
    if status is TaskStatus.CONFIRM:
        return _("Awaiting confirmation in the mobile app")
    if status is TaskStatus.NOTIFIED:
        return _("Notified, no progress reported yet")
    if status is TaskStatus.IN_PROGRESS:
        return _quoted(_("Reporting progress"), task.progress_text)
    if task.is_offline:
        return _("Pushed when the device connects")
    if task.batch.paused_at is not None:
        return _("The batch is paused")
    return _("Waiting for its turn in the push rate") if task.batch.needs_push else _("Waiting for the device to ask")
