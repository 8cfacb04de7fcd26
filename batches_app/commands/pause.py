"""Pause and resume a running batch (rules.md §3): a flag on Upgrading.

Nothing is sent to devices that have not started.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext

from batches_app.commands.rows import lock_batch, note, save_batch
from batches_app.domain.states import BatchStatus
from batches_app.models import Batch
from ota_console.audit.actor import Actor
from ota_console.core.errors import Conflict
from ota_console.core.jobs import enqueue


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseState:
    """The batch after the command; `is_changed` is False where it stood so before."""

    public_id: str
    paused_at: datetime | None
    is_changed: bool


def pause_batch(*, batch: str, actor: Actor, now: datetime) -> PauseState:
    """Send nothing to devices in CONFIRM, QUEUED, NOTIFIED; IN_PROGRESS ones go on. Takes effect with the next claim.

    `batch` is a public id. Raises `NotFound`, `Conflict` code `batch_not_upgrading`.
    """
    with transaction.atomic():
        row = _lock_running(batch)
        if row.paused_at is not None:
            return PauseState(public_id=batch, paused_at=row.paused_at, is_changed=False)
        row.paused_at = now
        save_batch(row, "paused_at", now=now)
        note(row, "batch.pause", actor=actor, now=now)
    return PauseState(public_id=batch, paused_at=now, is_changed=True)


def resume_batch(*, batch: str, actor: Actor, now: datetime) -> PauseState:
    """Make due what is due; the pace does not make up for the pause. Raises as `pause_batch`."""
    with transaction.atomic():
        row = _lock_running(batch)
        if row.paused_at is None:
            return PauseState(public_id=batch, paused_at=None, is_changed=False)
        row.paused_at = None
        save_batch(row, "paused_at", now=now)
        note(row, "batch.resume", actor=actor, now=now)
        enqueue("batches_app.dispatch")
    return PauseState(public_id=batch, paused_at=None, is_changed=True)


def _lock_running(public_id: str) -> Batch:
    row = lock_batch(public_id)
    if row.status != BatchStatus.IN_PROGRESS:
        raise Conflict(
            "batch_not_upgrading",
            gettext("Only a batch that is Upgrading can be paused or resumed. Nothing was changed."),
        )
    return row
