"""What a batch must end like, line by line, computed from the seeded behaviour of the simulated devices."""

from typing import Any, Final, NamedTuple

from batches_app.domain.states import (
    CANCELED,
    FAILED,
    IN_PROGRESS,
    NOTIFIED,
    SUCCEEDED,
    EventKind,
    Reason,
    TaskStatus,
)
from batches_app.models import Task, TaskEvent
from devices_app.simulator.behaviour import Behaviour, Kind, wrong_version

Line = tuple[EventKind, TaskStatus, dict[str, Any]]

FAILURE_TEXTS: Final = {
    Kind.UPDATE_FAILS: "the update was interrupted",
    Kind.DOWNLOAD_FAILS: "the download broke off",
    Kind.VERIFICATION_FAILS: "the signature is not valid",
    Kind.FLASHING_FAILS: "flash write error",
}


class Ending(NamedTuple):
    """How a task ends: its facts and its whole history, pushes aside."""

    status: TaskStatus
    reason: Reason = Reason.NONE
    reason_text: str = ""
    attempt: int = 0
    push_no: int = 0
    progress: int | None = None
    lines: tuple[Line, ...] = ()


def _percent(*steps: int) -> tuple[Line, ...]:
    return tuple((EventKind.PROGRESS, IN_PROGRESS, {"step": step}) for step in steps)


def _steps(device: Behaviour) -> tuple[int, ...]:
    """What the device reports before it fails, or is done."""
    match device.kind:
        case Kind.UPDATE_FAILS | Kind.DOWNLOAD_FAILS:
            return tuple(range(0, device.fails_at + 1, 25))
        case Kind.VERIFICATION_FAILS | Kind.FLASHING_FAILS:
            return (0, 25, 50, 75)
        case _:
            return (0, 25, 50, 75, 100)


def ending(device: Behaviour, *, target: str, retries: int = 0) -> Ending:
    """Where a task stands when the device has done all that it does by itself."""
    tries = _percent(*_steps(device))
    if device.kind is Kind.IGNORES:
        return Ending(NOTIFIED, push_no=1)
    if device.ends_updated:
        lines = (*tries, (EventKind.VERSION, SUCCEEDED, {"version": target}))
        return Ending(SUCCEEDED, push_no=1, progress=100, lines=lines)
    if device.kind is Kind.WRONG_VERSION:
        return _mismatch(tries, wrong_version(target), retries)
    code, text = Reason(device.failure_code or 0), FAILURE_TEXTS[device.kind]
    failure = {"reason": int(code), "text": text}
    lines = ()
    for attempt in range(1, retries + 1):
        lines += (
            *tries,
            (EventKind.FAILURE, IN_PROGRESS, failure),
            (EventKind.RETRY, IN_PROGRESS, {"attempt": attempt}),
        )
    lines += (*tries, (EventKind.FAILURE, FAILED, failure))
    return Ending(FAILED, code, text, retries, retries + 1, _steps(device)[-1], lines)


def _mismatch(tries: tuple[Line, ...], found: str, retries: int) -> Ending:
    """With a retry the unexpected version is the source of the next attempt: no failure, and no success either."""
    failure = {"reason": int(Reason.VERSION_MISMATCH), "version": found}
    if retries == 0:
        lines = (*tries, (EventKind.FAILURE, FAILED, failure))
        return Ending(FAILED, Reason.VERSION_MISMATCH, push_no=1, progress=100, lines=lines)
    waits = (EventKind.FAILURE, IN_PROGRESS, failure), (EventKind.RETRY, IN_PROGRESS, {"attempt": 1})
    return Ending(IN_PROGRESS, Reason.VERSION_MISMATCH, "", 1, 2, 100, (*tries, *waits, *tries))


def ended(before: Ending, status: TaskStatus, reason: Reason, /, **detail: Any) -> Ending:
    """The same, ended by a person, a timer or another batch. A cancel of many leaves no line with each."""
    line = (EventKind.ENDED, status, {"reason": int(reason), **detail})
    is_bulk = reason == Reason.BATCH_CANCELED or (status == CANCELED and not detail)
    lines = before.lines if is_bulk else (*before.lines, line)
    return before._replace(status=status, reason=reason, reason_text="", lines=lines)


def found(task: Task) -> Ending:
    """How a task did end."""
    told = TaskEvent.objects.filter(task=task).exclude(kind=EventKind.PUSHED)
    lines = tuple((EventKind(e.kind), TaskStatus(e.status), _without_times(e.detail)) for e in told.order_by("id"))
    return Ending(
        TaskStatus(task.status),
        Reason(task.reason),
        task.reason_text,
        task.attempt,
        task.push_no,
        task.progress,
        lines,
    )


def _without_times(detail: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if name != "not_before"}


def pushes(task: Task) -> list[int]:
    """The numbers of the recorded pushes, in the order of their lines."""
    lines = TaskEvent.objects.filter(task=task, kind=EventKind.PUSHED).order_by("id")
    return [line.detail["push_no"] for line in lines]
