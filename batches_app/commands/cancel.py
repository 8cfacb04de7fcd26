"""Cancel batches and device updates. What was asked is written on the batch row first and obeyed everywhere (rules.md §3).

Cancels of many return at once and are carried out in slices by `engine.cancel`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from batches_app.domain.states import TaskStatus
from ota_console.audit.actor import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelStarted:
    """The cancel stands; `task_count` device updates (as of now) are being canceled in slices."""

    public_id: str
    task_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """What became of one task in a command about several."""

    task: str
    """Public id of the task; "" where there is none."""
    device_name: str
    is_done: bool
    code: str = ""
    """Why not, stable: `domain.reasons.REFUSALS` has a sentence for each."""
    message: str = ""
    """The same as a complete sentence."""


def cancel_batch(*, batch: str, actor: Actor, now: datetime, include_ongoing: bool = False) -> CancelStarted:
    """Cancel a static or verify batch with all its unfinished tasks, or a dynamic batch's policy (seed; rules.md §3).

    `include_ongoing` counts for dynamic batches only: also cancel all their ongoing tasks, in all four states.
    `batch` is a public id. Raises `NotFound`, `Conflict` code `batch_ended`.
    """
    raise NotImplementedError


def cancel_tasks_by_state(*, batch: str, states: Collection[TaskStatus], actor: Actor, now: datetime) -> CancelStarted:
    """Cancel all tasks of a batch, running or ended, that are in one of the given unfinished states (rules.md §3).

    The console offers Pending Confirmation, To Be Pushed and Pushed; the RPC API all four. The batch itself goes on, unless no
    task is left. Raises `NotFound`, `Invalid` {"states"} where none or an ended state is given.
    """
    raise NotImplementedError


def cancel_tasks(*, tasks: Sequence[str], actor: Actor, now: datetime, batch: str | None = None) -> tuple[TaskResult, ...]:
    """Cancel single tasks, Upgrading ones too, by public id, at most 200 at once (seed). One result per id, in the given order.

    With `batch` (public id), tasks of other batches count as unknown. An ended task is a no-op and reported as such.
    """
    raise NotImplementedError


def cancel_by_device(
    *, package: str, device_names: Sequence[str], actor: Actor, now: datetime, batch: str | None = None
) -> tuple[TaskResult, ...]:
    """Cancel the unfinished tasks that these devices (at most 200 names) have with the package, or only in one batch of it.

    To Be Pushed, Pushed and Upgrading (vendor reference §3.7). Public ids. One result per task, and one with code `no_task` per
    device without any. Raises `NotFound` (package, batch of the package), `Invalid` {"device_names"}.
    """
    raise NotImplementedError
