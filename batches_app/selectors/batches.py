"""A batch as its pages show it, lists of batches, and what packages' lists say of them. Reads only."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from django.db.models import Count, Max, Q, QuerySet
from django.utils.translation import gettext as _

from batches_app.domain.pacing import Rate, rate_now
from batches_app.domain.reasons import ENDINGS, REASONS
from batches_app.domain.states import BatchStatus, Reason
from batches_app.models import Batch, BatchCounts, FailureCount
from batches_app.selectors.counts import (
    NOT_UPGRADING_NAMES,
    Counts,
    as_counts,
    is_start_to_come,
    package_counts,
    unfinished,
)
from ota_console.core.errors import NotFound
from packages_app.ports import BatchSummary, PackageFigures

OPEN: Final = (BatchStatus.PLANNED, BatchStatus.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class FailureShare:
    """One line of "Why updates failed"."""

    name: str
    """Of the reason, for the address: DOWNLOAD_FAILED."""
    code: str
    """The device's own code, "−2"; empty for ours."""
    words: str
    count: int


class BatchFacts:
    """One batch with everything that its pages say about it. Expects the related rows that `batches()` loads."""

    def __init__(self, batch: Batch, now: datetime) -> None:
        self.batch = batch
        self.now = now

    @cached_property
    def counts(self) -> Counts:
        return as_counts(self._row, is_scheduled=is_start_to_come(self.batch.schedule_at, self.now))

    @property
    def _row(self) -> BatchCounts | None:
        return getattr(self.batch, "counts", None)

    @property
    def revision(self) -> int:
        return self._row.revision if self._row else 0

    @property
    def state(self) -> str:
        """The status by name; Paused is a flag on Upgrading (rules.md §3)."""
        is_paused = self.batch.status == BatchStatus.IN_PROGRESS and self.batch.paused_at is not None
        return "PAUSED" if is_paused else BatchStatus(self.batch.status).name

    @property
    def is_dynamic(self) -> bool:
        return self.batch.selection == Batch.Selection.DYNAMIC

    @property
    def is_verify(self) -> bool:
        return self.batch.kind == Batch.Kind.VERIFY

    @property
    def is_variable(self) -> bool:
        return self.batch.rate_kind == Batch.RateKind.VARIABLE

    @property
    def is_upgrading(self) -> bool:
        """Edit is offered (seed), a paused batch's too (rules.md §3)."""
        return self.batch.status == BatchStatus.IN_PROGRESS

    @property
    def is_cancelable(self) -> bool:
        return self.batch.status in OPEN

    @property
    def is_reupgradable(self) -> bool:
        """rules.md §3: not in a canceled batch, nor after its finish time."""
        is_over = self.batch.finish_at is not None and self.batch.finish_at <= self.now
        return self.batch.status != BatchStatus.CANCELED and not is_over

    @property
    def unfinished_count(self) -> int:
        return unfinished(self.counts)

    @property
    def ended_count(self) -> int:
        return self.counts["all"] - self.unfinished_count

    @property
    def not_upgrading_count(self) -> int:
        return sum(self.counts[name] for name in NOT_UPGRADING_NAMES)

    @property
    def is_launching(self) -> bool:
        return self.batch.launch_state in {Batch.LaunchState.WAITING, Batch.LaunchState.WRITING}

    @property
    def is_canceling(self) -> bool:
        return self.batch.cancel_mask != 0

    @property
    def rate(self) -> Rate:
        batch = self.batch
        factor = None if batch.rate_factor is None else float(batch.rate_factor)
        steps = (batch.rate_notified_step, batch.rate_succeeded_step)
        return Rate(batch.rate_per_minute, batch.rate_base_per_minute, factor, *steps)

    @property
    def rate_now(self) -> int | None:
        """Devices per minute at this moment; None: no limit."""
        row = self._row
        notified, succeeded = (row.ever_notified, row.succeeded) if row else (0, 0)
        return rate_now(self.rate, notified_count=notified, succeeded_count=succeeded)

    @property
    def end_words(self) -> str:
        """Why it ended, where that says more than its status; empty else."""
        words = ENDINGS.get(self.batch.end_reason, "")
        return _(words) if words else ""

    @cached_property
    def failures(self) -> tuple[FailureShare, ...]:
        """Failed device updates by reason, most frequent first. One query."""
        found = FailureCount.objects.filter(batch=self.batch, count__gt=0).values_list("reason", "count")
        sums: dict[Reason, int] = {}
        for reason, count in found:
            sums[Reason(reason)] = sums.get(Reason(reason), 0) + count
        ranked = sorted(sums.items(), key=lambda item: -item[1])
        return tuple(_failure_share(reason, count) for reason, count in ranked)

    @property
    def failed_count(self) -> int:
        """The sum of `failures`, so that a heading and its lines never disagree."""
        return sum(share.count for share in self.failures)


def _failure_share(reason: Reason, count: int) -> FailureShare:
    code = f"\u2212{-reason}" if reason < 0 else ""
    return FailureShare(reason.name, code, _(REASONS[reason]) if REASONS[reason] else "", count)


def batches() -> QuerySet[Batch]:
    """Batches with what every page says of one, newest first."""
    related = ("package", "product", "module", "group", "device_list", "created_by", "counts")
    return Batch.objects.select_related(*related).prefetch_related("tags").order_by("-pk")


def batch_facts(public_id: str, now: datetime) -> BatchFacts:
    """One batch. Two queries. Raises `NotFound`."""
    batch = batches().filter(public_id=public_id).first()
    if batch is None:
        raise NotFound("batch_unknown", _("This batch does not exist."))
    return BatchFacts(batch, now)


def batches_of_package(package_id: int) -> QuerySet[Batch]:
    """The batches of a package, newest first."""
    return batches().filter(package_id=package_id)


def batch_ids_of_package(package_id: int, batch: str = "") -> list[int]:
    """Keys of a package's batches, newest first, or of one of them. One query."""
    found = Batch.objects.filter(package_id=package_id)
    return list((found.filter(public_id=batch) if batch else found).order_by("-pk").values_list("pk", flat=True))


def batch_summaries(package_ids: Collection[int]) -> dict[int, BatchSummary]:
    """By package. Two queries for any number of packages."""
    found = (
        Batch.objects.filter(package_id__in=package_ids)
        .order_by()
        .values("package_id")
        .annotate(total=Count("pk"), running=Count("pk", filter=Q(status__in=OPEN)), last_at=Max("updated_at"))
    )
    percents = _verify_percents(package_ids)
    return {
        row["package_id"]: BatchSummary(
            total=row["total"],
            running=row["running"],
            last_at=row["last_at"],
            verify_percent=percents.get(row["package_id"]),
        )
        for row in found
    }


def _verify_percents(package_ids: Collection[int]) -> dict[int, int]:
    running = BatchCounts.objects.filter(
        batch__package_id__in=package_ids, batch__kind=Batch.Kind.VERIFY, batch__status=BatchStatus.IN_PROGRESS
    ).select_related("batch")
    percents = {}
    for row in running:
        counts = as_counts(row)
        percents[row.batch.package_id] = 100 * (counts["all"] - unfinished(counts)) // max(1, counts["all"])
    return percents


def package_figures(package_id: int) -> PackageFigures:
    """The numbers on a package's tabs. Two queries."""
    found = Batch.objects.filter(package_id=package_id).aggregate(
        total=Count("pk"), running=Count("pk", filter=Q(status__in=OPEN))
    )
    tasks = package_counts(package_id)["all"]
    return PackageFigures(batch_count=found["total"], running_count=found["running"], task_count=tasks)
