"""Launching: what slices write, what they end, what they count.

This file is long because it is one thing: one launch, slice by slice.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from batches_app.domain.states import BatchStatus, EventKind, Reason, TaskStatus
from batches_app.engine import launch as engine
from batches_app.engine.launch import launch_once
from batches_app.engine.steps import StepChanged
from batches_app.models import Batch, FailureCount, Task, TaskEvent
from batches_app.scope import Window
from devices_app.models import Device, Module, Product
from ota_console.core.clock import FakeClock
from ota_console.outbox.models import OutboxMessage
from packages_app.models import UpdatePackage
from tests.campaign import LEAVE_OUT, OVERWRITE, counts_of, launch, start, tasks_of, write_tasks
from tests.factories import make_batch, make_device, make_devices, make_package, make_product, make_task, set_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def product() -> Product:
    return make_product()


@pytest.fixture
def package(product: Product) -> UpdatePackage:
    return make_package(product)


def only_task(batch: Batch) -> Task:
    return Task.objects.get(batch=batch)


def test_the_request_answers_before_any_task_is_written(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """The launch is carried out by a worker, in slices."""
    make_devices(product, 3)
    batch = start(package, now)
    assert batch.launch_state == Batch.LaunchState.WAITING
    assert not Task.objects.exists()


def test_slices_write_every_device_once_and_count_it(product: Product, package: UpdatePackage, now: datetime) -> None:
    """Whatever the slice size."""
    make_devices(product, 10)
    make_devices(product, 5, is_online=False)
    batch = launch(package, now, slice_size=4)
    assert batch.launch_state == Batch.LaunchState.DONE
    assert (batch.launch_written_count, batch.launch_total_count) == (15, 15)
    assert counts_of(batch) == {"queued": 15, "queued_offline": 5}


def test_a_launch_goes_on_where_it_stopped(product: Product, package: UpdatePackage, now: datetime) -> None:
    """After a crash between two slices."""
    make_devices(product, 10)
    batch = start(package, now)
    for _ in range(3):
        assert launch_once(batch_id=batch.pk, now=now, slice_size=3)
    assert Task.objects.count() == 6
    write_tasks(batch, now, 3)
    assert counts_of(batch) == {"queued": 10}


def test_devices_made_after_the_launch_are_no_part_of_it(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """A static batch holds only devices that match now (vendor reference §2.2)."""
    make_device(product)
    batch = start(package, now)
    make_device(product)
    assert len(tasks_of(write_tasks(batch, now))) == 1


def test_an_online_device_is_due_at_once(product: Product, package: UpdatePackage, now: datetime) -> None:
    """Architecture: `due_at` is the moment from which a task may be claimed."""
    make_device(product)
    task = only_task(launch(package, now, timeout_minutes=60))
    assert (task.status, task.due_at, task.is_offline) == (TaskStatus.QUEUED, now, False)
    assert (task.source_version, task.timeout_minutes, task.match_no) == ("1.0", 60, 1)
    assert len(task.public_id) == 26


@pytest.mark.parametrize("values", [{"needs_push": False}, {"needs_confirm": True}])
def test_nothing_is_due_without_push_or_confirmation(
    product: Product, package: UpdatePackage, now: datetime, values: dict[str, Any]
) -> None:
    """The device pulls, or somebody confirms first."""
    make_device(product)
    assert only_task(launch(package, now, **values)).due_at is None


def test_an_offline_device_waits_for_its_connection(product: Product, package: UpdatePackage, now: datetime) -> None:
    """To Be Pushed (Device Offline) is a fact."""
    make_device(product, is_online=False)
    task = only_task(launch(package, now))
    assert (task.is_offline, task.due_at) == (True, None)


def test_confirmation_is_waited_for(product: Product, package: UpdatePackage, now: datetime) -> None:
    """App confirm upgrade: Yes (seed)."""
    make_device(product)
    batch = launch(package, now, needs_confirm=True)
    assert counts_of(batch) == {"confirm": 1}


def test_a_scheduled_batch_holds_its_tasks_from_its_creation(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """rules.md §3: they exist, hold their lanes, and are due at the start."""
    make_device(product)
    make_device(product, is_online=False)
    at = now + timedelta(hours=2)
    batch = launch(package, now, schedule_at=at)
    assert batch.status == BatchStatus.PLANNED
    found = Task.objects.filter(batch=batch).order_by("pk").values_list("not_before", "due_at")
    assert list(found) == [(at, at), (at, None)]
    later = launch(make_package(product, version="3.0"), now)
    assert counts_of(later) == {"failed": 2}


def test_a_busy_device_fails_at_once_with_its_blocker(product: Product, package: UpdatePackage, now: datetime) -> None:
    """The seed: the earlier update is not overwritten, so the new one fails."""
    older = make_task(make_batch(make_package(product, version="3.0")), make_device(product))
    batch = launch(package, now)
    task = only_task(batch)
    assert (task.status, task.reason, task.blocker_id) == (TaskStatus.FAILED, Reason.CONFLICT, older.pk)
    assert (task.ended_at, task.due_at) == (now, None)
    assert FailureCount.objects.get(batch=batch).count == 1
    assert counts_of(batch) == {"failed": 1}


@pytest.mark.parametrize("status", [TaskStatus.CONFIRM, TaskStatus.QUEUED, TaskStatus.NOTIFIED])
def test_an_older_update_is_overwritten(
    product: Product, package: UpdatePackage, now: datetime, status: TaskStatus
) -> None:
    """The seed: with overwriting, the device keeps only the new update."""
    older_batch = make_batch(make_package(product, version="3.0"))
    older = make_task(older_batch, make_device(product), status)
    batch = launch(package, now, busy_policy=OVERWRITE)
    older.refresh_from_db()
    assert (older.status, older.reason, older.ended_at) == (TaskStatus.CANCELED, Reason.OVERWRITTEN, now)
    line = TaskEvent.objects.get(task=older)
    assert (line.kind, line.detail) == (EventKind.ENDED, {"reason": Reason.OVERWRITTEN, "batch": batch.public_id})
    assert counts_of(batch) == {"queued": 1}
    assert counts_of(older_batch) == {"canceled": 1}


def test_an_upgrading_device_is_never_overwritten(product: Product, package: UpdatePackage, now: datetime) -> None:
    """The seed: the new update fails."""
    older = make_task(make_batch(make_package(product, version="3.0")), make_device(product), TaskStatus.IN_PROGRESS)
    batch = launch(package, now, busy_policy=OVERWRITE)
    older.refresh_from_db()
    assert older.status == TaskStatus.IN_PROGRESS
    assert only_task(batch).reason == Reason.CONFLICT


def test_busy_devices_can_be_left_out(product: Product, package: UpdatePackage, now: datetime) -> None:
    """Design §9.1: no task at all."""
    free, busy = make_devices(product, 2)
    make_task(make_batch(make_package(product, version="3.0")), busy)
    batch = launch(package, now, busy_policy=LEAVE_OUT)
    assert tasks_of(batch) == [(free.name, "QUEUED")]


def test_counters_follow_a_mixed_slice(product: Product, package: UpdatePackage, now: datetime) -> None:
    """Free, overwritten, offline and conflicting devices in one slice."""
    devices = make_devices(product, 4, is_online=False)
    older = make_batch(make_package(product, version="3.0"))
    make_task(older, devices[0])
    make_task(older, devices[1], TaskStatus.IN_PROGRESS)
    batch = launch(package, now, busy_policy=OVERWRITE)
    assert counts_of(batch) == {"queued": 3, "queued_offline": 3, "failed": 1}
    assert counts_of(older) == {"canceled": 1, "in_progress": 1}


class TestMultiModule:
    """rules.md §7, lanes."""

    @pytest.fixture
    def camera(self, product: Product, now: datetime) -> Module:
        return Module.objects.create(product=product, name="camera", created_at=now)

    @pytest.fixture
    def device(self, product: Product, camera: Module) -> Device:
        device = make_device(product)
        set_version(device, "1.0", camera)
        return device

    def test_other_modules_do_not_matter(
        self, product: Product, package: UpdatePackage, camera: Module, device: Device, now: datetime
    ) -> None:
        """Two updates of different modules run side by side."""
        launch(make_package(product, module=camera), now, is_multi_module=True)
        assert counts_of(launch(package, now, is_multi_module=True)) == {"queued": 1}
        assert Task.objects.filter(device=device, status=TaskStatus.QUEUED).count() == 2

    def test_the_newer_overwrites_the_older_of_the_same_module(
        self, product: Product, package: UpdatePackage, device: Device, now: datetime
    ) -> None:
        """Vendor reference §2.6."""
        older = launch(make_package(product, version="3.0"), now, is_multi_module=True)
        assert counts_of(launch(package, now, is_multi_module=True)) == {"queued": 1}
        assert tasks_of(older) == [(device.name, "CANCELED")]

    def test_an_upgrading_task_of_the_same_module_conflicts(
        self, product: Product, package: UpdatePackage, device: Device, now: datetime
    ) -> None:
        """Unless it is in progress."""
        older = make_batch(make_package(product, version="3.0"), is_multi_module=True)
        make_task(older, device, TaskStatus.IN_PROGRESS, is_multi_module=True)
        assert counts_of(launch(package, now, is_multi_module=True)) == {"failed": 1}

    def test_a_batch_without_the_mode_conflicts_with_any_module(
        self, product: Product, package: UpdatePackage, camera: Module, device: Device, now: datetime
    ) -> None:
        """Any unfinished task of the device conflicts."""
        launch(make_package(product, module=camera), now, is_multi_module=True)
        assert counts_of(launch(package, now)) == {"failed": 1}

    def test_a_task_without_the_mode_holds_every_module(
        self, product: Product, package: UpdatePackage, camera: Module, device: Device, now: datetime
    ) -> None:
        """An unfinished task of a batch without multi-module mode conflicts."""
        launch(package, now)
        assert counts_of(launch(make_package(product, module=camera), now, is_multi_module=True)) == {"failed": 1}

    def test_nothing_is_overwritten_for_a_device_that_cannot_be_taken(
        self, product: Product, package: UpdatePackage, camera: Module, device: Device, now: datetime
    ) -> None:
        """One module waits, another is Upgrading: the new update fails and both go on."""
        waiting = launch(make_package(product, module=camera), now, is_multi_module=True)
        upgrading = make_batch(make_package(product, version="3.0"), is_multi_module=True)
        make_task(upgrading, device, TaskStatus.IN_PROGRESS, is_multi_module=True)
        batch = launch(package, now, busy_policy=OVERWRITE)
        assert counts_of(batch) == {"failed": 1}
        assert counts_of(waiting) == {"queued": 1}


def test_a_canceled_batch_gets_no_further_tasks(product: Product, package: UpdatePackage, now: datetime) -> None:
    """rules.md §3: every launch slice looks at the batch's row first."""
    make_devices(product, 6)
    batch = start(package, now)
    launch_once(batch_id=batch.pk, now=now, slice_size=2)
    launch_once(batch_id=batch.pk, now=now, slice_size=2)
    Batch.objects.filter(pk=batch.pk).update(status=BatchStatus.CANCELED)
    write_tasks(batch, now, 2)
    assert batch.launch_state == Batch.LaunchState.STOPPED
    assert Task.objects.count() == 2


def test_a_launch_ends_at_the_finish_time(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """No new push after it, so no new task either."""
    make_device(product)
    batch = start(package, clock(), finish_at=clock() + timedelta(hours=2))
    write_tasks(batch, clock.advance(hours=3))
    assert batch.launch_state == Batch.LaunchState.STOPPED
    assert not Task.objects.exists()


def test_devices_that_left_the_scope_before_their_slice_get_no_task(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """A device that reports the target while the launch runs."""
    _, last = make_devices(product, 2)
    batch = start(package, now)
    set_version(last, "2.0")
    assert len(tasks_of(write_tasks(batch, now, 1))) == 1


def test_one_outbox_row_a_slice_and_no_history_of_creation(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """A range event tells of all; the task's own time tells when it was made."""
    make_devices(product, 4)
    batch = start(package, now)
    OutboxMessage.objects.all().delete()
    write_tasks(batch, now, 2)
    assert [message.events[1] for message in OutboxMessage.objects.all()] == [
        {"kind": "tasks.range", "batch": batch.public_id, "status": 1, "count": 2}
    ] * 2
    assert not TaskEvent.objects.exists()


@pytest.mark.slow
def test_ten_thousand_devices_in_a_bounded_number_of_queries(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """The number depends on the slices, not on the devices: here one slice with everything in it."""
    devices = make_devices(product, 10_000)
    older = make_batch(make_package(product, version="3.0"))
    for device in devices[:5]:
        make_task(older, device)
    batch = start(package, now, busy_policy=OVERWRITE)
    with CaptureQueriesContext(connection) as queries:
        write_tasks(batch, now, 10_000)
    assert counts_of(batch) == {"queued": 10_000}
    assert len(queries) <= 30


def test_a_slice_that_another_worker_wrote_is_left_to_it(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """The cursor on the batch's locked row has moved on."""
    make_devices(product, 4)
    batch = start(package, now)
    launch_once(batch_id=batch.pk, now=now, slice_size=2)
    stale = Batch.objects.select_related("package", "group").get(pk=batch.pk)
    launch_once(batch_id=batch.pk, now=now, slice_size=2)
    last = Task.objects.order_by("-device")[0].device_id
    assert engine._slice(stale, Window(0, last or 0), now)
    assert Task.objects.count() == 2


def test_a_slice_whose_devices_moved_is_rolled_back(
    product: Product, package: UpdatePackage, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written must be what was locked; the step is done again."""
    make_device(product)
    batch = start(package, now)
    launch_once(batch_id=batch.pk, now=now)
    monkeypatch.setattr("batches_app.sql.launch.lock_devices", lambda _part: 5)
    with pytest.raises(StepChanged):
        launch_once(batch_id=batch.pk, now=now)
    assert not Task.objects.exists()


def test_an_overwrite_that_lost_its_task_is_rolled_back(
    product: Product, package: UpdatePackage, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above: the rows that were counted under the lock are those that end."""
    make_task(make_batch(make_package(product, version="3.0")), make_device(product))
    batch = start(package, now, busy_policy=OVERWRITE)
    launch_once(batch_id=batch.pk, now=now)
    monkeypatch.setattr("batches_app.sql.launch.overwrite", lambda _part, _task: 0)
    with pytest.raises(StepChanged):
        launch_once(batch_id=batch.pk, now=now)


def test_a_gray_update_whose_fleet_is_gone(product: Product, package: UpdatePackage, now: datetime) -> None:
    """Nobody matches any more when the launch starts: an empty launch, no error."""
    device = make_device(product)
    batch = start(package, now, target=Batch.Target.GRAY, gray_percent=Decimal(50))
    set_version(device, "2.0")
    assert write_tasks(batch, now).launch_written_count == 0


def test_a_delta_package_is_launched_on_its_source_version(product: Product, now: datetime) -> None:
    """The package decides which version, whatever the batch says."""
    fits, _ = make_device(product, version="1.5"), make_device(product)
    delta = make_package(product, kind=UpdatePackage.Kind.DELTA, source_version="1.5")
    assert tasks_of(launch(delta, now, source_versions=("1.5",))) == [(fits.name, "QUEUED")]
