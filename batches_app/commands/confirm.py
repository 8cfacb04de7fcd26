"""Confirm device updates in the app's place, and start ended ones again (vendor reference §3.8; rules.md §2, §3, §7)."""

from collections.abc import Sequence
from datetime import datetime

from batches_app.commands.cancel import TaskResult
from ota_console.audit.actor import Actor


def confirm_tasks(*, tasks: Sequence[str], actor: Actor, now: datetime) -> tuple[TaskResult, ...]:
    """CONFIRM → To Be Pushed, only within [start, finish) of the batch. Public ids, at most 200. One result per id, in order.

    Refused per task with a code: `unknown_task`, `not_waiting_for_confirmation`, `before_schedule`, `after_finish`,
    `being_canceled`.
    """
    raise NotImplementedError


def reupgrade_tasks(*, tasks: Sequence[str], actor: Actor, now: datetime, batch: str | None = None) -> tuple[TaskResult, ...]:
    """Update failed, Canceled → To Be Pushed; reopens a COMPLETED batch. Public ids, at most 200. One result per id, in order.

    With `batch` (public id), tasks of other batches count as unknown. Refused per task with a code: `unknown_task`,
    `not_ended`, `already_updated`, `never_confirmed`, `after_finish`, `batch_canceled`, `lane_held` (another unfinished update
    of the device), `device_deleted`, `already_on_target`.
    """
    raise NotImplementedError
