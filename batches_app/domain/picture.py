"""The state machine as a picture and a table for `docs/`, drawn by asking `decide` itself: it cannot lie. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final

from batches_app.domain.states import (
    TRANSITIONS,
    Cancel,
    Confirmed,
    Connected,
    DeadlinePassed,
    DeviceFailure,
    Disconnected,
    Event,
    Policy,
    Progress,
    Pulled,
    PushAcknowledged,
    PushDue,
    Reason,
    Reupgrade,
    ScheduleEnded,
    TaskFacts,
    TaskStatus,
    Verdict,
    VersionReported,
    decide,
    is_unfinished,
)

_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_LATER: Final = _NOW + timedelta(days=1)
_POLICIES: Final = (
    Policy("2.0"),
    Policy("2.0", frozenset({"1.0"}), retry_limit=1, finish_at=_LATER),
)
_EVENTS: Final[tuple[tuple[str, Event], ...]] = (
    ("confirmed", Confirmed()),
    ("push acknowledged", PushAcknowledged(1)),
    ("pulled", Pulled("1.0")),
    ("progress 0 … 100", Progress(10)),
    ("failure −1 … −4", DeviceFailure(-1)),
    ("reports the target version", VersionReported("2.0")),
    ("reports the source version", VersionReported("1.0")),
    ("reports another version", VersionReported("9.9")),
    ("about to be pushed, on the source version", PushDue("1.0")),
    ("about to be pushed, already on the target", PushDue("2.0")),
    ("about to be pushed, source version changed", PushDue("9.9")),
    ("deadline passed", DeadlinePassed()),
    ("finish time reached", ScheduleEnded()),
    ("cancel", Cancel()),
    ("re-upgrade", Reupgrade()),
    ("device connects", Connected()),
    ("device disconnects", Disconnected()),
)
NAMES: Final = {
    TaskStatus.CONFIRM: "Pending Confirmation",
    TaskStatus.QUEUED: "To Be Pushed",
    TaskStatus.NOTIFIED: "Pushed",
    TaskStatus.IN_PROGRESS: "Upgrading",
    TaskStatus.SUCCEEDED: "Updated",
    TaskStatus.FAILED: "Update failed",
    TaskStatus.CANCELED: "Canceled",
}


def _samples(status: TaskStatus) -> list[TaskFacts]:
    handed_out = {TaskStatus.CONFIRM: (0,), TaskStatus.QUEUED: (0, 1)}.get(status, (1,))
    return [
        TaskFacts(
            status=status,
            policy=policy,
            source_version="1.0",
            push_no=push_no,
            lease_until=_LATER if push_no and is_unfinished(status) else None,
            deadline_at=_NOW if status in (TaskStatus.NOTIFIED, TaskStatus.IN_PROGRESS) else None,
            reason=Reason.TIMEOUT if status == TaskStatus.FAILED else Reason.NONE,
        )
        for policy in _POLICIES
        for push_no in handed_out
    ]


def _outcomes(status: TaskStatus, event: Event) -> tuple[str, ...]:
    """What may become of the event in this state, in words, without repetition."""
    words: dict[str, None] = {}
    now = _LATER if isinstance(event, ScheduleEnded) else _NOW
    for facts in _samples(status):
        decision = decide(facts, event, now)
        if decision.verdict is Verdict.APPLIED and decision.facts.attempt > facts.attempt:
            words["retry"] = None
        elif decision.verdict is Verdict.APPLIED and decision.facts.status != status:
            words[NAMES[decision.facts.status]] = None
        else:
            words[{Verdict.APPLIED: "stays", Verdict.IGNORED: "–"}.get(decision.verdict, decision.verdict.value)] = None
    return tuple(words)


def table() -> str:
    """A Markdown table: a row per event, a column per state."""
    head = "| Event | " + " | ".join(NAMES[status] for status in TaskStatus) + " |"
    rows = [head, "|---" * (len(TaskStatus) + 1) + "|"]
    for words, event in _EVENTS:
        cells = [" or ".join(_outcomes(status, event)) for status in TaskStatus]
        rows.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def diagram() -> str:
    """A Mermaid state diagram of every change of state."""
    lines = ["stateDiagram-v2"]
    lines += [f"    {status.name}: {NAMES[status]}" for status in TaskStatus]
    lines += [
        "    [*] --> CONFIRM: app confirm upgrade",
        "    [*] --> QUEUED: launched",
        "    [*] --> FAILED: conflict",
    ]
    by_name = {name: status for status, name in NAMES.items()}
    edges: dict[tuple[TaskStatus, TaskStatus], list[str]] = {}
    for words, event in _EVENTS:
        for status in TaskStatus:
            for outcome in _outcomes(status, event):
                if outcome in by_name:
                    edges.setdefault((status, by_name[outcome]), []).append(words)
    lines += [f"    {a.name} --> {b.name}: {', '.join(words)}" for (a, b), words in edges.items()]
    return "\n".join(lines)


def page() -> str:
    """`docs/reference/states.md`, whole."""
    known = {type(event) for _, event in _EVENTS}
    assert {event for _, event in TRANSITIONS} <= known, "an event is missing from the picture"  # noqa: S101 a developer's error
    return f"""# The states of a device update

Generated from `batches_app/domain/states.py` by `manage.py draw_states`; a test compares it.

```mermaid
{diagram()}
```

*stays*: noted, but the state does not change. *retry*: the state does not change either, and the update is
pushed again after the batch's retry interval; a device that asks for it from then on uses that retry. *recorded*:
written to the device's log only. *refused*: who asked is told why. *–*: nothing happens.

{table()}
"""
