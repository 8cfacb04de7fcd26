"""Pause and resume a running batch (rules.md §3): a flag on Upgrading; nothing is sent to devices that have not started."""

from dataclasses import dataclass
from datetime import datetime

from ota_console.audit.actor import Actor


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
    raise NotImplementedError


def resume_batch(*, batch: str, actor: Actor, now: datetime) -> PauseState:
    """Make due what is due; the pace does not make up for the pause. Raises as `pause_batch`."""
    raise NotImplementedError
