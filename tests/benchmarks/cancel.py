"""B7: cancel a batch whose tasks all wait, from the request to the last counted task, beside one bare UPDATE."""

from time import monotonic
from typing import Final

from batches_app.commands.cancel import cancel_batch
from batches_app.domain.states import Reason, TaskStatus
from batches_app.models import Batch
from ota_console.core import clock
from tests import campaign
from tests.benchmarks import fleet
from tests.benchmarks.measure import Bar, Kind

BARE: Final = (
    "UPDATE batches_app_task SET status = %s, reason = %s, reason_text = '', ended_at = %s, updated_at = %s, "
    "due_at = NULL, lease_until = NULL, not_before = NULL, deadline_at = NULL, notify_seconds_left = NULL, "
    "is_retry_pending = false WHERE batch_id = %s AND status = %s"
)
"""The same rows, in one statement and without a counter."""


class Cancel:
    """A contest over `device_count` waiting tasks."""

    row = "B7"

    def __init__(self, *, device_count: int) -> None:
        """Makes the fleet."""
        self.piece_count = device_count
        self.work = f"cancel {device_count:,} waiting tasks: from the request to the counted tasks"
        self.bar = Bar(Kind.TIME, 1.5)
        self._fleet = fleet.make_fleet(device_count, clock.now(), has_offline=True)

    def product(self) -> float:
        """The command, then the worker's slices."""
        batch = self._prepare()
        start = monotonic()
        cancel_batch(batch=batch.public_id, actor=campaign.OPERATOR, now=clock.now())
        campaign.carry_out_cancel(batch, clock.now())
        took = monotonic() - start
        fleet.check_counts(batch, canceled=self.piece_count)
        return took

    def bare(self) -> float:
        """One statement."""
        batch, now = self._prepare(), clock.now()
        given = (int(TaskStatus.CANCELED), int(Reason.BATCH_CANCELED), now, now, batch.pk, int(TaskStatus.QUEUED))
        start = monotonic()
        assert fleet.run(BARE, *given) == self.piece_count
        return monotonic() - start

    def _prepare(self) -> Batch:
        fleet.drop_tasks()
        batch = fleet.make_batch(self._fleet)
        fleet.make_tasks(batch, TaskStatus.QUEUED, clock.now())
        fleet.settle()
        return batch
