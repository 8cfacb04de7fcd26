"""The state machine of one device update (task). This file is long because it is one thing: the table and its rules.

`decide` is the only place where a task's status is decided, whoever asks: a device's message, a person, a program or
a timer. It is pure: facts, event and time go in; new facts and effects come out. It must never do I/O or know a
framework. Source: the seed page; rules.md §2 (table), §3 (finish time), §5 (connect), §7 (edge cases).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum, IntEnum
from typing import Any, Final, NamedTuple

LEASE: Final = timedelta(seconds=30)
"""How long a claim for a push stands.

Longer than the publish deadline plus the wait for the broker's acknowledgement.
"""
CONNECT_GRACE: Final = timedelta(seconds=2)
"""What a device that connects gets to report its version before it is pushed again (rules.md §5)."""
FRESH_PROGRESS: Final = timedelta(seconds=60)
"""An Upgrading device that reported progress this recently is not pushed again on connect (rules.md §5)."""


class TaskStatus(IntEnum):
    """The seven states, in the order of the seed."""

    CONFIRM = 0
    QUEUED = 1
    NOTIFIED = 2
    IN_PROGRESS = 3
    SUCCEEDED = 4
    FAILED = 5
    CANCELED = 6


class BatchStatus(IntEnum):
    """rules.md §3."""

    PLANNED = 0
    IN_PROGRESS = 1
    COMPLETED = 2
    CANCELED = 3


class Reason(IntEnum):
    """Why a task ended, or, while a retry waits, its last failure. −1 … −4 are the device's own codes (seed)."""

    FLASHING_FAILED = -4
    VERIFICATION_FAILED = -3
    DOWNLOAD_FAILED = -2
    UPDATE_FAILED = -1
    NONE = 0
    TIMEOUT = 1
    VERSION_MISMATCH = 2
    CONFLICT = 3
    NOT_ACKNOWLEDGED = 4
    SOURCE_VERSION_CHANGED = 5
    CANCELED_BY_OPERATOR = 10
    BATCH_CANCELED = 11
    OVERWRITTEN = 12
    SCHEDULE_ENDED = 13
    DEVICE_DELETED = 14


class EventKind(IntEnum):
    """What a line of a task's history tells."""

    CONFIRMED = 0
    PUSHED = 1
    PULLED = 2
    PROGRESS = 3
    FAILURE = 4
    RETRY = 5
    VERSION = 6
    ENDED = 7
    """Canceled, timed out, overwritten, already on the target: `reason` says which."""
    REUPGRADED = 8
    LATE_SUCCESS = 9
    ROLLED_BACK = 10


CONFIRM, QUEUED, NOTIFIED, IN_PROGRESS = (
    TaskStatus.CONFIRM,
    TaskStatus.QUEUED,
    TaskStatus.NOTIFIED,
    TaskStatus.IN_PROGRESS,
)
SUCCEEDED, FAILED, CANCELED = TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELED
UNFINISHED: Final = frozenset({CONFIRM, QUEUED, NOTIFIED, IN_PROGRESS})
TERMINAL: Final = frozenset({SUCCEEDED, FAILED, CANCELED})


class Policy(NamedTuple):
    """What a batch says about all of its tasks."""

    target_version: str
    allowed_sources: frozenset[str] | None = None
    """Versions the device must still be on before a push; None: any (full package without source versions)."""
    is_delta: bool = False
    """A delta package only fits its source version, whatever went wrong before."""
    retry_limit: int = 0
    retry_interval_minutes: int = 0
    notify_timeout_minutes: int | None = None
    needs_push: bool = True
    needs_confirm: bool = False
    is_paused: bool = False
    cancel_mask: int = 0
    """Bit 1 << status for each status that is being canceled: such a task is handed out no more (rules.md §3)."""
    schedule_at: datetime | None = None
    finish_at: datetime | None = None


class TaskFacts(NamedTuple):
    """Everything that `decide` may look at and change. Field names are the columns of `batches_app.models.Task`."""

    status: TaskStatus
    policy: Policy
    timeout_minutes: int | None = None
    """Copied from the batch when the task was made: an edit holds for later tasks only (rules.md §7)."""
    is_offline: bool = False
    source_version: str = ""
    push_no: int = 0
    attempt: int = 0
    """Retries used so far."""
    is_retry_pending: bool = False
    not_before: datetime | None = None
    due_at: datetime | None = None
    """From when the task may be claimed, once no lease stands; None: it waits for something else than time."""
    lease_until: datetime | None = None
    """A claim stands until then. Not indexed, as all that a claim writes: it happens in place (hot path)."""
    notified_at: datetime | None = None
    confirmed_at: datetime | None = None
    progress: int | None = None
    progress_text: str = ""
    progress_at: datetime | None = None
    first_progress_at: datetime | None = None
    deadline_at: datetime | None = None
    notify_seconds_left: int | None = None
    reason: Reason = Reason.NONE
    reason_text: str = ""
    ended_at: datetime | None = None
    late_success_at: datetime | None = None
    rolled_back_at: datetime | None = None


class Confirmed(NamedTuple):
    """The user of the device agreed in the mobile app."""

    actor: str = ""


class PushDue(NamedTuple):
    """A worker is about to push: the task may be claimed, or turns out to need no push."""

    current_version: str


class PushAcknowledged(NamedTuple):
    """The broker acknowledged the push that claim `push_no` made."""

    push_no: int


class Pulled(NamedTuple):
    """The device asked for its update."""

    current_version: str


class Progress(NamedTuple):
    """The device reported 0 … 100 percent."""

    step: int
    text: str = ""


class DeviceFailure(NamedTuple):
    """The device reported −1 … −4."""

    code: int
    text: str = ""


class VersionReported(NamedTuple):
    """The device reported the version of the task's module."""

    version: str
    is_change: bool = True
    """Differs from what it reported before."""
    is_rollback: bool = False
    """Older than what it reported before; only looked at in an Updated task."""


class DeadlinePassed(NamedTuple):
    """The timer that `deadline_at` holds ran out."""


class ScheduleEnded(NamedTuple):
    """The batch's finish time was reached."""


class Cancel(NamedTuple):
    """A person, a program or another batch cancels the task."""

    reason: Reason = Reason.CANCELED_BY_OPERATOR
    actor: str = ""


class Reupgrade(NamedTuple):
    """A person or program starts an ended task again."""

    actor: str = ""


class Connected(NamedTuple):
    """The device came online."""


class Disconnected(NamedTuple):
    """The device went offline."""


Event = (
    Confirmed
    | PushDue
    | PushAcknowledged
    | Pulled
    | Progress
    | DeviceFailure
    | VersionReported
    | DeadlinePassed
    | ScheduleEnded
    | Cancel
    | Reupgrade
    | Connected
    | Disconnected
)


class Verdict(Enum):
    """What became of the event."""

    APPLIED = "applied"
    RECORDED = "recorded"
    """Noted in the device's log; the task did not move."""
    IGNORED = "ignored"
    """Nothing to do: applied before, or without meaning here."""
    REFUSED = "refused"
    """Asked for by somebody who deserves the reason."""


class History(NamedTuple):
    """A line for the task's history."""

    kind: EventKind
    detail: dict[str, str | int]
    at: datetime | None = None
    """None: now."""


class Decision(NamedTuple):
    """The new facts and the effects to carry out."""

    facts: TaskFacts
    verdict: Verdict
    history: tuple[History, ...] = ()
    refusal: str = ""
    """A stable code when refused: see `REFUSALS` in `reasons`."""


def is_unfinished(status: int) -> bool:
    """CONFIRM, QUEUED, NOTIFIED and IN_PROGRESS hold the device's lane."""
    return status < SUCCEEDED


def was_handed_out(task: TaskFacts) -> bool:
    """Pushed or pulled at least once: only then may a device's report move the task (rules.md §2)."""
    return task.push_no >= 1


def fresh_until(task: TaskFacts, now: datetime) -> datetime | None:
    """Until when an Upgrading device's last progress forbids to push it again; None: it may be pushed."""
    if task.status != IN_PROGRESS or task.is_retry_pending or task.progress_at is None:
        return None
    end = task.progress_at + FRESH_PROGRESS
    return end if now < end else None


def decide(task: TaskFacts, event: Event, now: datetime) -> Decision:
    """Apply one event to one task. `now` is aware UTC. Applying the same event again changes nothing more."""
    rule = TRANSITIONS.get((task.status, type(event)))
    return _ignored(task) if rule is None else rule(task, event, now)


def sources(event: type[Event]) -> frozenset[TaskStatus]:
    """The states in which an event has a rule: what the SQL guards and the generated picture use."""
    return frozenset(status for status, kind in TRANSITIONS if kind is event)


def _ignored(task: TaskFacts) -> Decision:
    return Decision(task, Verdict.IGNORED)


def _recorded(task: TaskFacts, _event: Event, _now: datetime) -> Decision:
    return Decision(task, Verdict.RECORDED)


def _refuse(code: str) -> Callable[[TaskFacts, Event, datetime], Decision]:
    def rule(task: TaskFacts, _event: Event, _now: datetime) -> Decision:
        return Decision(task, Verdict.REFUSED, refusal=code)

    return rule


def _end(task: TaskFacts, status: TaskStatus, reason: Reason, text: str, now: datetime, **more: Any) -> TaskFacts:
    return task._replace(
        **more,
        status=status,
        reason=reason,
        reason_text=text,
        ended_at=now,
        due_at=None,
        lease_until=None,
        not_before=None,
        deadline_at=None,
        notify_seconds_left=None,
        is_retry_pending=False,
    )


def _due(task: TaskFacts, earliest: datetime) -> datetime | None:
    """From when the task may be claimed; None where a push makes no sense (offline, push off)."""
    if task.is_offline or not task.policy.needs_push:
        return None
    return earliest if task.not_before is None else max(task.not_before, earliest)


def _confirm(task: TaskFacts, event: Event, now: datetime) -> Decision:
    policy = task.policy
    if is_being_canceled(task):
        return Decision(task, Verdict.REFUSED, refusal="being_canceled")
    if policy.schedule_at is not None and now < policy.schedule_at:
        return Decision(task, Verdict.REFUSED, refusal="before_schedule")
    if policy.finish_at is not None and now >= policy.finish_at:
        return Decision(task, Verdict.REFUSED, refusal="after_finish")
    assert isinstance(event, Confirmed)
    facts = task._replace(status=QUEUED, confirmed_at=now, due_at=_due(task, now))
    return Decision(facts, Verdict.APPLIED, (History(EventKind.CONFIRMED, {"actor": event.actor}),))


def _succeed(task: TaskFacts, version: str, now: datetime) -> Decision:
    facts = _end(task, SUCCEEDED, Reason.NONE, "", now, progress=100)
    return Decision(facts, Verdict.APPLIED, (History(EventKind.VERSION, {"version": version}),))


def is_being_canceled(task: TaskFacts) -> bool:
    """A cancel was asked for on the batch and has not reached this task yet."""
    return bool(task.policy.cancel_mask >> task.status & 1)


def _may_start_from(task: TaskFacts, current_version: str) -> bool:
    """An edit of the source versions holds for later matches.

    A task keeps the one that it was matched with (rules.md §7). A retry because of a foreign version is a push to that
    version (seed), unless the package is a delta.
    """
    allowed = task.policy.allowed_sources
    is_mismatch_retried = task.is_retry_pending and task.reason == Reason.VERSION_MISMATCH
    return (
        allowed is None
        or current_version in allowed
        or (is_mismatch_retried and not task.policy.is_delta)
        or bool(current_version and current_version == task.source_version)
    )


def _source_changed(task: TaskFacts, current_version: str, now: datetime) -> Decision:
    facts = _end(task, FAILED, Reason.SOURCE_VERSION_CHANGED, "", now)
    line = History(EventKind.ENDED, {"reason": Reason.SOURCE_VERSION_CHANGED, "version": current_version})
    return Decision(facts, Verdict.APPLIED, (line,))


def _source_of(task: TaskFacts, current_version: str) -> str:
    """The first hand-out of an attempt fixes the source version (rules.md §7)."""
    starts_attempt = task.status == QUEUED or task.is_retry_pending
    return current_version if starts_attempt and current_version else task.source_version


def _push_due(task: TaskFacts, event: Event, now: datetime) -> Decision:
    assert isinstance(event, PushDue)
    if is_being_canceled(task):
        return Decision(task, Verdict.REFUSED, refusal="being_canceled")
    if event.current_version == task.policy.target_version:
        return _succeed(task, event.current_version, now)
    if not _may_start_from(task, event.current_version):
        return _source_changed(task, event.current_version, now)
    facts = task._replace(
        push_no=task.push_no + 1,
        source_version=_source_of(task, event.current_version),
        lease_until=now + LEASE,
        is_retry_pending=False,
        not_before=None,
    )
    return Decision(facts, Verdict.APPLIED)


def _notify_deadline(task: TaskFacts, now: datetime) -> datetime | None:
    minutes = task.policy.notify_timeout_minutes
    if minutes is None or task.is_offline or task.is_retry_pending:
        return None
    return now + timedelta(minutes=minutes)


def _notified(task: TaskFacts, now: datetime, **changes: Any) -> TaskFacts:
    """Pushed, unless it is Upgrading already; with these other changes."""
    changes["notified_at"] = task.notified_at or now
    if task.status != IN_PROGRESS:
        is_timed = task.is_offline and task.policy.notify_timeout_minutes is not None
        changes["status"] = NOTIFIED
        changes["deadline_at"] = _notify_deadline(task, now)
        changes["notify_seconds_left"] = (task.policy.notify_timeout_minutes or 0) * 60 if is_timed else None
    return task._replace(**changes)


def _acknowledged(task: TaskFacts, event: Event, now: datetime) -> Decision:
    assert isinstance(event, PushAcknowledged)
    if task.lease_until is None or task.push_no != event.push_no:
        return _ignored(task)
    facts = _notified(task, now, lease_until=None, due_at=None)
    return Decision(facts, Verdict.APPLIED, (History(EventKind.PUSHED, {"push_no": event.push_no}),))


def _pulled(task: TaskFacts, event: Event, now: datetime) -> Decision:
    """The device fetches its update, whether or not it is pushed one.

    A pull from `not_before` on is the retry that waits: it takes the next push number, and what the device reports
    then counts. An earlier one brings nothing forward (rules.md §2): the device gets its update and may go on with it
    (progress drops the retry), but the retry waits, and a failure is recorded only, until its time has come.
    """
    assert isinstance(event, Pulled)
    policy = task.policy
    if is_being_canceled(task):
        return Decision(task, Verdict.REFUSED, refusal="being_canceled")
    waits = policy.schedule_at is not None and now < policy.schedule_at
    if task.status != IN_PROGRESS and (waits or policy.is_paused or _is_after_finish(task, now)):
        return Decision(task, Verdict.REFUSED, refusal="not_yet")
    if event.current_version == policy.target_version:
        return _succeed(task, event.current_version, now)
    if not _may_start_from(task, event.current_version):
        return _source_changed(task, event.current_version, now)
    is_retry = task.is_retry_pending and (task.not_before is None or now >= task.not_before)
    handed_out = task._replace(
        push_no=task.push_no + 1 if is_retry else max(task.push_no, 1),
        source_version=_source_of(task, event.current_version),
    )
    if is_retry or not task.is_retry_pending:
        handed_out = handed_out._replace(due_at=None, lease_until=None, is_retry_pending=False, not_before=None)
    facts = _notified(handed_out, now)
    return Decision(facts, Verdict.APPLIED, (History(EventKind.PULLED, {"push_no": facts.push_no}),))


def _progress(task: TaskFacts, event: Event, now: datetime) -> Decision:
    assert isinstance(event, Progress)
    if not was_handed_out(task):
        return _recorded(task, event, now)
    before = -1 if task.progress is None else task.progress
    step = max(before, event.step)
    changes: dict[str, Any] = {"progress": step, "progress_text": event.text, "progress_at": now, "due_at": None}
    if task.is_retry_pending:  # the device goes on by itself: the waiting retry is dropped, the attempt kept
        changes |= {"is_retry_pending": False, "not_before": None}
    lines: tuple[History, ...] = ()
    if task.status != IN_PROGRESS:
        changes |= _start_of_upgrade(task, now)
    if task.status != IN_PROGRESS or step // 25 > before // 25:
        lines = (History(EventKind.PROGRESS, {"step": step}),)
    return Decision(task._replace(**changes), Verdict.APPLIED, lines)


def _start_of_upgrade(task: TaskFacts, now: datetime) -> dict[str, Any]:
    """The timer starts at the task's first progress report and is never restarted (seed)."""
    first = task.first_progress_at or now
    return {
        "status": IN_PROGRESS,
        "first_progress_at": first,
        "deadline_at": None if task.timeout_minutes is None else first + timedelta(minutes=task.timeout_minutes),
        "notify_seconds_left": None,
        "notified_at": task.notified_at or now,
    }


def _is_after_finish(task: TaskFacts, moment: datetime) -> bool:
    return task.policy.finish_at is not None and moment >= task.policy.finish_at


def _fail(task: TaskFacts, reason: Reason, text: str, detail: dict[str, str | int], now: datetime) -> Decision:
    """Retry if the policy has one left, else FAILED. The visible status does not change during a retry (seed)."""
    failure = History(EventKind.FAILURE, {"reason": reason, **detail})
    next_try = now + timedelta(minutes=task.policy.retry_interval_minutes)
    if task.attempt >= task.policy.retry_limit or _is_after_finish(task, next_try):
        facts = _end(task, FAILED, reason, text, now, notified_at=task.notified_at or now)
        return Decision(facts, Verdict.APPLIED, (failure,))
    facts = task._replace(
        attempt=task.attempt + 1,
        is_retry_pending=True,
        not_before=next_try,
        lease_until=None,
        notified_at=task.notified_at or now,
        progress=None,
        progress_text="",
        reason=reason,
        reason_text=text,
        deadline_at=task.deadline_at if task.status == IN_PROGRESS else None,
        notify_seconds_left=None,
    )
    facts = facts._replace(due_at=_due(facts, now))
    retry = History(EventKind.RETRY, {"attempt": facts.attempt, "not_before": next_try.isoformat()})
    return Decision(facts, Verdict.APPLIED, (failure, retry))


def _failure(task: TaskFacts, event: Event, now: datetime) -> Decision:
    assert isinstance(event, DeviceFailure)
    if not was_handed_out(task) or task.is_retry_pending:
        return _recorded(task, event, now)
    return _fail(task, Reason(event.code), event.text, {"text": event.text}, now)


def _version(task: TaskFacts, event: Event, now: datetime) -> Decision:
    assert isinstance(event, VersionReported)
    if event.version == task.policy.target_version:
        return _succeed(task, event.version, now)
    if event.version == task.source_version or (task.status != IN_PROGRESS and task.source_version):
        return _version_seen(task, event)
    if not task.source_version:  # the first version other than the target becomes the source (rules.md §7)
        return _version_seen(task._replace(source_version=event.version), event)
    if task.is_retry_pending:
        return _recorded(task, event, now)
    return _fail(task, Reason.VERSION_MISMATCH, "", {"version": event.version}, now)


def _version_seen(facts: TaskFacts, event: VersionReported) -> Decision:
    """No change of state; a report that repeats the last one leaves no line either."""
    if not event.is_change:
        return Decision(facts, Verdict.APPLIED)
    return Decision(facts, Verdict.APPLIED, (History(EventKind.VERSION, {"version": event.version}),))


def _late_version(task: TaskFacts, event: Event, now: datetime) -> Decision:
    assert isinstance(event, VersionReported)
    if event.version != task.policy.target_version or task.late_success_at is not None:
        return _ignored(task)
    line = History(EventKind.LATE_SUCCESS, {"version": event.version})
    return Decision(task._replace(late_success_at=now), Verdict.APPLIED, (line,))


def _rollback(task: TaskFacts, event: Event, now: datetime) -> Decision:
    assert isinstance(event, VersionReported)
    if not event.is_rollback or event.version == task.policy.target_version or task.rolled_back_at is not None:
        return _ignored(task)
    line = History(EventKind.ROLLED_BACK, {"version": event.version})
    return Decision(task._replace(rolled_back_at=now), Verdict.APPLIED, (line,))


def _deadline(reason: Reason) -> Callable[[TaskFacts, Event, datetime], Decision]:
    def rule(task: TaskFacts, _event: Event, now: datetime) -> Decision:
        if task.deadline_at is None or now < task.deadline_at:
            return _ignored(task)
        facts = _end(task, FAILED, reason, "", now)
        return Decision(facts, Verdict.APPLIED, (History(EventKind.ENDED, {"reason": reason}),))

    return rule


def _schedule_ended(task: TaskFacts, _event: Event, now: datetime) -> Decision:
    """Waiting tasks are canceled; Upgrading ones go on, unless they only wait for a retry that may not come."""
    if not _is_after_finish(task, now):
        return _ignored(task)
    if task.status != IN_PROGRESS:
        return _cancel(task, Cancel(Reason.SCHEDULE_ENDED), now)
    if not task.is_retry_pending:
        return _ignored(task)
    facts = _end(task, FAILED, task.reason, task.reason_text, now)
    return Decision(facts, Verdict.APPLIED, (History(EventKind.ENDED, {"reason": task.reason}),))


def _cancel(task: TaskFacts, event: Event, now: datetime) -> Decision:
    assert isinstance(event, Cancel)
    facts = _end(task, CANCELED, event.reason, "", now)
    line = History(EventKind.ENDED, {"reason": event.reason, "actor": event.actor})
    return Decision(facts, Verdict.APPLIED, (line,))


def _reupgrade(task: TaskFacts, event: Event, now: datetime) -> Decision:
    """Resets timer, progress, retries and failure (rules.md §2); what it was before stays in the history."""
    assert isinstance(event, Reupgrade)
    if task.policy.needs_confirm and task.confirmed_at is None:
        return Decision(task, Verdict.REFUSED, refusal="never_confirmed")
    if _is_after_finish(task, now):
        return Decision(task, Verdict.REFUSED, refusal="after_finish")
    facts = TaskFacts(
        status=QUEUED,
        policy=task.policy,
        timeout_minutes=task.timeout_minutes,
        is_offline=task.is_offline,
        source_version=task.source_version,
        push_no=task.push_no,
        notified_at=task.notified_at,
        confirmed_at=task.confirmed_at,
        not_before=task.policy.schedule_at if task.policy.schedule_at and task.policy.schedule_at > now else None,
    )
    facts = facts._replace(due_at=_due(facts, now))
    line = History(EventKind.REUPGRADED, {"actor": event.actor, **_end_of(task)})
    return Decision(facts, Verdict.APPLIED, (line,))


def _end_of(task: TaskFacts) -> dict[str, str | int]:
    """What starts again: a cancel of many leaves no other line of it."""
    return {} if task.ended_at is None else {"reason": task.reason, "ended_at": task.ended_at.isoformat()}


def _connected(task: TaskFacts, _event: Event, now: datetime) -> Decision:
    online = task._replace(is_offline=False)
    if task.status == CONFIRM:
        return Decision(online, Verdict.APPLIED)
    if task.status == NOTIFIED and not task.policy.needs_push and task.notify_seconds_left is not None:
        deadline = now + timedelta(seconds=task.notify_seconds_left)
        online = online._replace(deadline_at=deadline, notify_seconds_left=None)
    if fresh_until(task, now) is not None:
        return Decision(online._replace(due_at=None), Verdict.APPLIED)
    # a push that was claimed before may have left before the device was there: its claim stands no more
    due_at = _due(online, now + CONNECT_GRACE)
    return Decision(online._replace(due_at=due_at, lease_until=None), Verdict.APPLIED)


def _disconnected(task: TaskFacts, _event: Event, now: datetime) -> Decision:
    if task.is_offline:
        return _ignored(task)
    facts = task._replace(is_offline=True, due_at=None)
    if task.status == NOTIFIED and task.deadline_at is not None:  # NOT_ACKNOWLEDGED counts online time only
        left = max(0, round((task.deadline_at - now).total_seconds()))
        facts = facts._replace(deadline_at=None, notify_seconds_left=left)
    return Decision(facts, Verdict.APPLIED)


Rule = Callable[[TaskFacts, Event, datetime], Decision]

TRANSITIONS: Final[dict[tuple[TaskStatus, type[Event]], Rule]] = {
    # Pending Confirmation
    (CONFIRM, Confirmed): _confirm,
    (CONFIRM, Pulled): _refuse("not_confirmed"),
    (CONFIRM, Progress): _recorded,
    (CONFIRM, DeviceFailure): _recorded,
    (CONFIRM, VersionReported): _version,
    (CONFIRM, ScheduleEnded): _schedule_ended,
    (CONFIRM, Cancel): _cancel,
    (CONFIRM, Reupgrade): _refuse("not_ended"),
    (CONFIRM, Connected): _connected,
    (CONFIRM, Disconnected): _disconnected,
    # To Be Pushed
    (QUEUED, Confirmed): _refuse("not_waiting_for_confirmation"),
    (QUEUED, PushDue): _push_due,
    (QUEUED, PushAcknowledged): _acknowledged,
    (QUEUED, Pulled): _pulled,
    (QUEUED, Progress): _progress,
    (QUEUED, DeviceFailure): _failure,
    (QUEUED, VersionReported): _version,
    (QUEUED, ScheduleEnded): _schedule_ended,
    (QUEUED, Cancel): _cancel,
    (QUEUED, Reupgrade): _refuse("not_ended"),
    (QUEUED, Connected): _connected,
    (QUEUED, Disconnected): _disconnected,
    # Pushed
    (NOTIFIED, Confirmed): _refuse("not_waiting_for_confirmation"),
    (NOTIFIED, PushDue): _push_due,
    (NOTIFIED, PushAcknowledged): _acknowledged,
    (NOTIFIED, Pulled): _pulled,
    (NOTIFIED, Progress): _progress,
    (NOTIFIED, DeviceFailure): _failure,
    (NOTIFIED, VersionReported): _version,
    (NOTIFIED, DeadlinePassed): _deadline(Reason.NOT_ACKNOWLEDGED),
    (NOTIFIED, ScheduleEnded): _schedule_ended,
    (NOTIFIED, Cancel): _cancel,
    (NOTIFIED, Reupgrade): _refuse("not_ended"),
    (NOTIFIED, Connected): _connected,
    (NOTIFIED, Disconnected): _disconnected,
    # Upgrading
    (IN_PROGRESS, Confirmed): _refuse("not_waiting_for_confirmation"),
    (IN_PROGRESS, PushDue): _push_due,
    (IN_PROGRESS, PushAcknowledged): _acknowledged,
    (IN_PROGRESS, Pulled): _pulled,
    (IN_PROGRESS, Progress): _progress,
    (IN_PROGRESS, DeviceFailure): _failure,
    (IN_PROGRESS, VersionReported): _version,
    (IN_PROGRESS, DeadlinePassed): _deadline(Reason.TIMEOUT),
    (IN_PROGRESS, ScheduleEnded): _schedule_ended,
    (IN_PROGRESS, Cancel): _cancel,
    (IN_PROGRESS, Reupgrade): _refuse("not_ended"),
    (IN_PROGRESS, Connected): _connected,
    (IN_PROGRESS, Disconnected): _disconnected,
    # Updated, Update failed, Canceled
    (SUCCEEDED, Progress): _recorded,
    (SUCCEEDED, DeviceFailure): _recorded,
    (SUCCEEDED, VersionReported): _rollback,
    (SUCCEEDED, Confirmed): _refuse("not_waiting_for_confirmation"),
    (SUCCEEDED, Cancel): _refuse("already_ended"),
    (SUCCEEDED, Reupgrade): _refuse("already_updated"),
    (FAILED, Progress): _recorded,
    (FAILED, DeviceFailure): _recorded,
    (FAILED, VersionReported): _late_version,
    (FAILED, Confirmed): _refuse("not_waiting_for_confirmation"),
    (FAILED, Cancel): _refuse("already_ended"),
    (FAILED, Reupgrade): _reupgrade,
    (CANCELED, Progress): _recorded,
    (CANCELED, DeviceFailure): _recorded,
    (CANCELED, VersionReported): _late_version,
    (CANCELED, Confirmed): _refuse("not_waiting_for_confirmation"),
    (CANCELED, Cancel): _refuse("already_ended"),
    (CANCELED, Reupgrade): _reupgrade,
}
"""The table. The refusals of a cancel in an ended task are the no-op that rules.md §2 asks for, told to who asked."""
