"""What live frames read: the facts of named batches and packages, and of the rows that somebody looks at. Reads only.

Each function costs one query (task rows three) for any number of names; callers bound the names.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from batches_app.models import Batch, PackageCounts
from batches_app.selectors.batches import BatchFacts
from batches_app.selectors.counts import Counts, as_counts
from batches_app.selectors.task_rows import TaskRow, single_rows

MOST_BATCHES: Final = 100
"""Batches that a watch of several starts with: those that can still change, newest first."""


@dataclass(frozen=True, slots=True)
class LivePackage:
    """The status (by name) and the counters of a package."""

    public_id: str
    state: str
    revision: int
    counts: Counts


def live_batches(public_ids: Collection[str], now: datetime) -> list[BatchFacts]:
    """The named batches that exist, newest first."""
    found = Batch.objects.select_related("package", "counts").filter(public_id__in=public_ids).order_by("-pk")
    return [BatchFacts(batch, now) for batch in found]


def live_packages(public_ids: Collection[str]) -> list[LivePackage]:
    """The counters of the named packages that have had a batch."""
    found = PackageCounts.objects.filter(package__public_id__in=public_ids).select_related("package")
    return [LivePackage(row.package.public_id, _state(row), row.revision, as_counts(row)) for row in found]


def _state(row: PackageCounts) -> str:
    return row.package.Status(row.package.status).name


def live_rows(*, batch: str, tasks: Sequence[str], now: datetime) -> tuple[TaskRow, ...]:
    """The named device updates of a batch, as its table shows them."""
    batch_id = Batch.objects.filter(public_id=batch).values_list("pk", flat=True).first()
    return () if batch_id is None or not tasks else single_rows(public_ids=tasks, batch_id=batch_id, now=now)


def changing_batches(*, package: str = "") -> list[str]:
    """Public ids of the newest open batches, or of the newest batches of one package."""
    found = Batch.objects.order_by("-pk")
    found = found.filter(package__public_id=package) if package else found.filter(is_open=True)
    return list(found.values_list("public_id", flat=True)[:MOST_BATCHES])


def packages_of_batches(public_ids: Collection[str]) -> dict[str, str]:
    """The package of each named batch, by public ids."""
    return dict(Batch.objects.filter(public_id__in=public_ids).values_list("public_id", "package__public_id"))
