"""A device update's history in words, newest first. Reads only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _

from batches_app.domain.reasons import REASONS
from batches_app.domain.states import EventKind, Reason, TaskStatus, is_unfinished
from batches_app.models import Task, TaskEvent
from batches_app.selectors.history import with_ends

MOST_LINES: Final = 200
"""Lines of history that are shown, the newest; an update has some dozens."""


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One event: in ink what happened, in grey its detail."""

    at: datetime
    status: str
    """The name of the status after it."""
    words: str
    detail: str


def history_of(task: Task) -> tuple[HistoryLine, ...]:
    """Newest first. Expects `batch__canceled_by` to be loaded. One query, and one for each end of a cancel of many.

    What the launch does writes no line for each task: that it was made, and a conflict.
    """
    events = list(TaskEvent.objects.filter(task=task).order_by("-pk")[:MOST_LINES])
    lines = [_line(event) for event in reversed(with_ends(task, reversed(events)))]
    is_told = bool(lines) and not is_unfinished(TaskStatus[lines[0].status])
    status = TaskStatus(task.status)
    if not is_unfinished(status) and not is_told:
        lines.insert(0, HistoryLine(task.ended_at or task.updated_at, status.name, _ended(task.reason), ""))
    if len(events) < MOST_LINES:
        first = TaskStatus.CONFIRM if task.batch.needs_confirm else TaskStatus.QUEUED
        lines.append(HistoryLine(task.created_at, first.name, _("Device update made"), _("by the launch of the batch")))
    return tuple(lines)


def _line(event: TaskEvent) -> HistoryLine:
    words, detail = _said(EventKind(event.kind), event.detail)
    return HistoryLine(event.at, TaskStatus(event.status).name, words, detail)


def _ended(reason: int) -> str:
    code = f"\u2212{-reason} " if reason < 0 else ""
    words = REASONS[Reason(reason)]
    return code + _(words) if words else _("Ended")


def _said(kind: EventKind, detail: Mapping[str, Any]) -> tuple[str, str]:
    version = str(detail.get("version", ""))
    actor = _("by %(name)s") % {"name": detail["actor"]} if detail.get("actor") else ""
    reason = int(detail.get("reason", 0))
    is_single = bool(actor) and reason == Reason.CANCELED_BY_OPERATOR
    push = _("push %(number)s") % {"number": detail.get("push_no", "")}
    retry = _("Retry %(number)s is planned") % {"number": detail.get("attempt", "")}
    return {
        EventKind.CONFIRMED: (_("Confirmed"), actor),
        EventKind.PUSHED: (_("Pushed"), push),
        EventKind.PULLED: (_("Asked for by the device"), push),
        EventKind.PROGRESS: (_("Progress %(step)s %%") % {"step": detail.get("step", 0)}, ""),
        EventKind.FAILURE: (_ended(reason), _failure_detail(detail)),
        EventKind.RETRY: (retry, _retry_time(detail)),
        EventKind.VERSION: (_("Reported %(version)s") % {"version": version}, ""),
        EventKind.ENDED: (_("Canceled") if is_single else _ended(reason), actor or version),
        EventKind.REUPGRADED: (_("Started again"), actor),
        EventKind.LATE_SUCCESS: (_("Updated later: reported %(version)s") % {"version": version}, ""),
        EventKind.ROLLED_BACK: (_("Rolled back since: reported %(version)s") % {"version": version}, ""),
    }[kind]


def _failure_detail(detail: Mapping[str, Any]) -> str:
    said = str(detail.get("desc") or detail.get("text") or "")
    version = str(detail.get("version") or "")
    return f"“{said}”" if said else version


def _retry_time(detail: Mapping[str, Any]) -> str:
    at = str(detail.get("not_before", ""))
    if not at:
        return ""
    return _("not before %(time)s") % {"time": timezone.localtime(datetime.fromisoformat(at)).strftime("%H:%M:%S")}
