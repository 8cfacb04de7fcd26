"""A task's history as it is shown: the stored lines, and the ends that cancels of many left out (decision 0009)."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from batches_app.domain.states import EventKind, Reason, TaskStatus, is_unfinished
from batches_app.models import Task, TaskEvent
from ota_console.audit.commands import Target
from ota_console.audit.selectors import last_actor

ASKED_BY: Final = {Reason.BATCH_CANCELED: "batch.cancel", Reason.CANCELED_BY_OPERATOR: "batch.cancel_tasks"}
"""Reasons that a cancel of many gives, with their words in the audit."""
BULK_REASONS: Final = frozenset({*ASKED_BY, Reason.SCHEDULE_ENDED})


def with_ends(task: Task, stored: Iterable[TaskEvent]) -> list[TaskEvent]:
    """All lines, oldest first. Expects `batch` to be loaded; one query for each end that was not stored."""
    lines = list(_with_earlier_ends(task, stored))
    if task.status != TaskStatus.CANCELED or task.ended_at is None:
        return lines
    place = sum(line.at <= task.ended_at for line in lines)
    if Reason(task.reason) in BULK_REASONS and not _is_ended(lines[:place]):
        lines.insert(place, _end(task, Reason(task.reason), task.ended_at))
    return lines


def _with_earlier_ends(task: Task, stored: Iterable[TaskEvent]) -> Iterator[TaskEvent]:
    """A re-upgrade's line says what it was that started again."""
    seen: list[TaskEvent] = []
    for line in stored:
        reason, ended_at = line.detail.get("reason"), line.detail.get("ended_at")
        if line.kind == EventKind.REUPGRADED and ended_at and reason in BULK_REASONS and not _is_ended(seen):
            yield _end(task, Reason(reason), datetime.fromisoformat(ended_at))
        seen = [line]
        yield line


def _is_ended(lines: list[TaskEvent]) -> bool:
    return bool(lines) and not is_unfinished(lines[-1].status)


def _end(task: Task, reason: Reason, at: datetime) -> TaskEvent:
    detail: dict[str, str | int] = {"reason": reason}
    if reason in ASKED_BY:
        detail["actor"] = _actor(task, ASKED_BY[reason], at)
    return TaskEvent(task=task, at=at, kind=EventKind.ENDED, status=TaskStatus.CANCELED, detail=detail)


def _actor(task: Task, action: str, at: datetime) -> str:
    """Who asked last before it ended; else who canceled last, since the clocks of two hosts may differ a little."""
    name = last_actor(Target("batch", task.batch.public_id), [action], until=at)
    if name is None and task.batch.canceled_by is not None:
        return task.batch.canceled_by.get_username()
    return name or ""
