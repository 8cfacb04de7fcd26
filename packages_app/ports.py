"""What this room needs of the one above it: what batches say of packages. Wired where addresses are put together."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSummary:
    """What a list of packages says of a package's batches."""

    total: int = 0
    running: int = 0
    last_at: datetime | None = None
    verify_percent: int | None = None
    """How many test devices of the running verification have finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFigures:
    """The numbers on a package's tabs."""

    batch_count: int = 0
    running_count: int = 0
    task_count: int = 0


class Batches(Protocol):
    """Implemented by `batches_app.selectors.batches`."""

    def batch_summaries(self, package_ids: Collection[int]) -> Mapping[int, BatchSummary]:
        """By package; packages without batches may be missing."""

    def package_figures(self, package_id: int) -> PackageFigures:
        """Of one package."""
