"""Short ways to launch, cancel and look, for tests of batches.

They go through the product's own commands and engine.
"""

from datetime import datetime
from functools import partial
from typing import Any, Final

from batches_app.commands.launch import LaunchRequest, launch_batch
from batches_app.domain.states import TaskStatus
from batches_app.engine.cancel import cancel_once
from batches_app.engine.launch import launch_once
from batches_app.engine.matching import match_once
from batches_app.engine.reconcile import check_consistency
from batches_app.engine.steps import again
from batches_app.models import Batch, BatchCounts, Task
from batches_app.transitions import STATUS_COLUMNS
from ota_console.audit.actor import Actor
from packages_app.models import UpdatePackage

OPERATOR: Final = Actor(None, "operator")
SPECIFIC, GRAY, GROUP = Batch.Target.SPECIFIC, Batch.Target.GRAY, Batch.Target.GROUP
DYNAMIC: Final = Batch.Selection.DYNAMIC
OVERWRITE, LEAVE_OUT = Batch.BusyPolicy.OVERWRITE, Batch.BusyPolicy.LEAVE_OUT
VERIFY: Final = Batch.Kind.VERIFY


def request(package: UpdatePackage, **values: Any) -> LaunchRequest:
    """A static batch over all devices, unless said otherwise."""
    return LaunchRequest(package=package.public_id, **values)


def start(package: UpdatePackage, now: datetime, **values: Any) -> Batch:
    """Launch without writing any task yet."""
    launched = launch_batch(request=request(package, **values), actor=OPERATOR, now=now)
    return Batch.objects.get(pk=launched.batch_id)


def write_tasks(batch: Batch, now: datetime, slice_size: int | None = None) -> Batch:
    """Run the launch to its end."""
    while again(partial(launch_once, batch_id=batch.pk, now=now, slice_size=slice_size)):
        pass
    batch.refresh_from_db()
    return batch


def launch(package: UpdatePackage, now: datetime, slice_size: int | None = None, **values: Any) -> Batch:
    """Launch, and write all tasks."""
    return write_tasks(start(package, now, **values), now, slice_size)


def carry_out_cancel(batch: Batch, now: datetime, slice_size: int = 10_000) -> Batch:
    """Run the cancel to its end."""
    while again(partial(cancel_once, batch_id=batch.pk, now=now, slice_size=slice_size)):
        pass
    batch.refresh_from_db()
    return batch


def match(now: datetime) -> None:
    """Carry out all requests for a match."""
    while again(partial(match_once, now=now)):
        pass


def tasks_of(batch: Batch) -> list[tuple[str, str]]:
    """Device names and statuses, in the order of making."""
    found = Task.objects.filter(batch=batch).order_by("pk").values_list("device_name", "status")
    return [(name, TaskStatus(status).name) for name, status in found]


def counts_of(batch: Batch) -> dict[str, int]:
    """The counters that are not zero, after a recount that must agree."""
    assert check_consistency() == []
    row = BatchCounts.objects.values(*STATUS_COLUMNS, "queued_offline").get(pk=batch.pk)
    return {name: count for name, count in row.items() if count}
