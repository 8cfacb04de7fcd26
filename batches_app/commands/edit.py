"""Edit a running batch: rate values and tags; for dynamic batches source versions and time-out too (seed; vendor reference §2.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from batches_app.domain.pacing import Rate
from ota_console.audit.actor import Actor


class Keep(Enum):
    """The type of `KEEP`: this part of the batch is not edited."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEdit:
    """What to change; `KEEP` leaves a part as it is. Tags and source versions are replaced as a whole."""

    rate: Rate | Keep = KEEP
    """Values only: the type, constant or variable, cannot change (seed)."""
    tags: Sequence[tuple[str, str]] | Keep = KEEP
    source_versions: Sequence[str] | Keep = KEEP
    """Version-based dynamic batches only; holds for later matches (rules.md §7)."""
    timeout_minutes: int | None | Keep = KEEP
    """Dynamic batches only; holds for tasks made afterwards (rules.md §7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """The batch after the edit; `updated_at` is what the next edit may pass as `expected_updated_at`."""

    updated_at: datetime
    changed: tuple[str, ...]
    """Names of the fields whose value differs now; empty: nothing was changed."""


def edit_batch(
    *, batch: str, edit: BatchEdit, actor: Actor, now: datetime, expected_updated_at: datetime | None = None
) -> Edited:
    """Change a batch that is Upgrading (a paused one too). `batch` is its public id. Takes effect within 5 s (rules.md §4).

    Raises `NotFound`; `Conflict` code `batch_not_upgrading`, or `edited_meanwhile` where `expected_updated_at` is given and
    somebody changed the batch since; `Invalid` with errors by field of `BatchEdit`.
    """
    raise NotImplementedError
