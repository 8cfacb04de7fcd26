"""The counters as every page, answer and live frame shows them (rules.md §6): one mapping, made in one place.

Reads the maintained counters; must never count tasks.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from batches_app.models import BatchCounts, PackageCounts, StatusCounts

Counts = Mapping[str, int]
"""By name: `all`, the seven statuses; the forms of To Be Pushed, as in QUEUED_PLAIN; LATE_SUCCESS and ROLLED_BACK, what
devices reported after their end (rules.md §2, §7).
"""

UNFINISHED_NAMES: Final = ("CONFIRM", "QUEUED", "NOTIFIED", "IN_PROGRESS")
ENDED_NAMES: Final = ("SUCCEEDED", "FAILED", "CANCELED")
NOT_UPGRADING_NAMES: Final = ("CONFIRM", "QUEUED", "NOTIFIED")
"""What may be canceled for all devices of a batch at once (seed)."""


def as_counts(row: StatusCounts | None, *, is_scheduled: bool = False) -> Counts:
    """The counters of a batch or package.

    `is_scheduled`: the batch's start is still to come, which the label of all its waiting tasks says.
    """
    if row is None:
        row = BatchCounts()
    counts = {
        "CONFIRM": row.confirm,
        "QUEUED": row.queued,
        "NOTIFIED": row.notified,
        "IN_PROGRESS": row.in_progress,
        "SUCCEEDED": row.succeeded,
        "FAILED": row.failed,
        "CANCELED": row.canceled,
    }
    offline = 0 if is_scheduled else row.queued_offline
    scheduled = row.queued if is_scheduled else 0
    return {
        "all": sum(counts.values()),
        **counts,
        "QUEUED_OFFLINE": offline,
        "QUEUED_SCHEDULED": scheduled,
        "QUEUED_PLAIN": row.queued - offline - scheduled,
        "LATE_SUCCESS": row.late_success,
        "ROLLED_BACK": row.rolled_back,
    }


def unfinished(counts: Counts) -> int:
    """Device updates that can still move."""
    return sum(counts[name] for name in UNFINISHED_NAMES)


def is_start_to_come(schedule_at: datetime | None, now: datetime) -> bool:
    """Whether To Be Pushed means Scheduled (rules.md §2, precedence of labels)."""
    return schedule_at is not None and schedule_at > now


def package_counts(package_id: int) -> Counts:
    """Counts over all batches of a package. One query."""
    return as_counts(PackageCounts.objects.filter(package_id=package_id).first())
