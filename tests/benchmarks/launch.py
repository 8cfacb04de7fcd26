"""B1: a static batch over all devices, from the accepted request to the last counted task, beside one bare INSERT."""

from time import monotonic
from typing import Final

from batches_app.domain.states import Reason, TaskStatus
from batches_app.models import Batch, Task
from ota_console.core import clock
from tests import campaign
from tests.benchmarks import fleet
from tests.benchmarks.measure import Bar, Kind

BUSY_EACH: Final = 10
"""One device of so many is busy in another batch, and its new task fails at once."""

BARE: Final = (
    "INSERT INTO batches_app_task (public_id, batch_id, device_id, device_name, module_id, match_no, is_multi_module, "
    "blocker_id, status, is_offline, source_version, due_at, reason, ended_at, created_at, updated_at) "
    "SELECT 'bench678' || right(replace(gen_random_uuid()::text, '-', ''), 18), %s, d.id, d.name, v.module_id, 1, "
    "false, o.id, CASE WHEN o.id IS NULL THEN %s ELSE %s END, NOT d.is_online, v.version, "
    "CASE WHEN o.id IS NULL AND d.is_online THEN at END, CASE WHEN o.id IS NULL THEN 0 ELSE %s END, "
    "CASE WHEN o.id IS NOT NULL THEN at END, at, at "
    "FROM (SELECT %s::timestamptz AS at) AS x, devices_app_device d "
    "JOIN devices_app_moduleversion v ON v.device_id = d.id AND v.module_id = %s "
    "LEFT JOIN batches_app_task o ON o.device_id = d.id AND o.status < %s WHERE d.product_id = %s ORDER BY d.id"
)
"""The same rows, in one statement and without a counter."""


class Launch:
    """A contest over `device_count` new tasks."""

    row = "B1"

    def __init__(self, *, device_count: int) -> None:
        """Makes the fleet."""
        self.piece_count = device_count
        self.work = (
            f"launch to {device_count:,} devices, one in {BUSY_EACH} busy: from the request to the counted tasks"
        )
        self.bar = Bar(Kind.TIME, 1.3)
        self._fleet = fleet.make_fleet(device_count, clock.now(), has_offline=True)

    def product(self) -> float:
        """The command, then the worker's slices."""
        self._prepare()
        start = monotonic()
        batch = campaign.launch(self._fleet.package, clock.now())
        took = monotonic() - start
        assert Task.objects.filter(batch=batch, status=TaskStatus.QUEUED).count() == self._free_count
        assert Task.objects.filter(batch=batch, reason=Reason.CONFLICT).count() == self.piece_count - self._free_count
        return took

    def bare(self) -> float:
        """One statement."""
        batch = self._prepare()
        given = (batch.pk, int(TaskStatus.QUEUED), int(TaskStatus.FAILED), int(Reason.CONFLICT), clock.now())
        start = monotonic()
        written = fleet.run(BARE, *given, self._fleet.module.pk, int(TaskStatus.SUCCEEDED), self._fleet.product.pk)
        took = monotonic() - start
        assert written == self.piece_count
        return took

    @property
    def _free_count(self) -> int:
        return self.piece_count - self.piece_count // BUSY_EACH

    def _prepare(self) -> Batch:
        """Some devices are busy in an older batch; an empty batch for the bare way."""
        fleet.drop_tasks()
        fleet.make_tasks(fleet.make_batch(self._fleet), TaskStatus.NOTIFIED, clock.now(), each=BUSY_EACH)
        batch = fleet.make_batch(self._fleet)
        fleet.settle()
        return batch
