"""Sweepers and recounts: what an event should have moved is found, and counters that differ are told."""

from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from batches_app.domain.states import TaskStatus
from batches_app.engine import runs
from batches_app.engine.reconcile import check_consistency, open_batches, reconcile_batch, repair_slice
from batches_app.models import Batch, BatchCounts, FailureCount, PackageCounts, Task, TaskEvent
from batches_app.scope import Window
from devices_app.models import Device, Product
from ota_console.core.clock import FakeClock
from packages_app.models import UpdatePackage
from tests.campaign import counts_of, launch
from tests.factories import NOW, make_batch, make_device, make_package, make_product, make_task, set_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> FakeClock:
    """An hour after the fleet reported."""
    return FakeClock(NOW + timedelta(hours=1))


@pytest.fixture
def product() -> Product:
    return make_product()


@pytest.fixture
def package(product: Product) -> UpdatePackage:
    return make_package(product)


@pytest.fixture
def batch(package: UpdatePackage) -> Batch:
    return make_batch(package)


def reconciled(batch: Batch, now: datetime) -> Task:
    after: int | None = 0
    while after is not None:
        after = reconcile_batch(batch_id=batch.pk, after=after, now=now)
    return Task.objects.get()


def test_a_connect_that_missed_its_task(product: Product, batch: Batch, now: datetime) -> None:
    """It is due after the two seconds that a device has for its report."""
    make_task(batch, make_device(product, is_online=False))
    Device.objects.update(is_online=True)
    task = reconciled(batch, now)
    assert (task.is_offline, task.due_at) == (False, now + timedelta(seconds=2))
    assert counts_of(batch) == {"queued": 1}


def test_a_disconnect_that_missed_its_task(product: Product, batch: Batch, now: datetime) -> None:
    """It is not claimed for a device that is away."""
    make_task(batch, make_device(product))
    Device.objects.update(is_online=False)
    task = reconciled(batch, now)
    assert (task.is_offline, task.due_at) == (True, None)
    assert counts_of(batch) == {"queued": 1, "queued_offline": 1}


def test_a_task_that_waits_for_nothing(product: Product, batch: Batch, now: datetime) -> None:
    """Online, to be pushed, and not due: nobody would ever look at it."""
    make_task(batch, make_device(product), due_at=None)
    assert reconciled(batch, now).due_at == now + timedelta(seconds=2)


@pytest.mark.parametrize("status", [TaskStatus.CONFIRM, TaskStatus.QUEUED, TaskStatus.NOTIFIED, TaskStatus.IN_PROGRESS])
def test_a_device_on_the_target_is_updated(product: Product, batch: Batch, now: datetime, status: TaskStatus) -> None:
    """rules.md §7: a sweep finds offline ones."""
    device = make_device(product, is_online=False)
    make_task(batch, device, status)
    set_version(device, "2.0")
    assert reconciled(batch, now).status == TaskStatus.SUCCEEDED
    assert counts_of(batch) == {"succeeded": 1}


@pytest.mark.parametrize("values", [{"needs_push": False}, {"needs_confirm": True}])
def test_what_rightly_waits_is_left_alone(
    product: Product, package: UpdatePackage, now: datetime, values: dict[str, bool]
) -> None:
    """For a pull, or for a confirmation."""
    make_device(product)
    batch = launch(package, now, **values)
    before = Task.objects.get().updated_at
    assert reconciled(batch, now + timedelta(minutes=1)).updated_at == before


def test_a_device_that_moved_during_a_launch_slice(product: Product, package: UpdatePackage, now: datetime) -> None:
    """After the slice's commit, in a new snapshot (architecture)."""
    device = make_device(product, is_online=False)
    batch = launch(package, now)
    Device.objects.update(is_online=True, presence_at=now)
    window = Window(device.pk - 1, device.pk)
    assert repair_slice(batch.pk, window, since=now + timedelta(seconds=1), now=now) == 0
    assert repair_slice(batch.pk, window, since=now, now=now) == 1
    assert Task.objects.get().due_at is not None


def test_everything_that_is_open_is_looked_at(
    product: Product, package: UpdatePackage, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slice by slice; closed batches cost nothing."""
    monkeypatch.setattr("batches_app.engine.reconcile.SLICE", 1)
    monkeypatch.setattr("batches_app.engine.reconcile.REPAIR_AT_ONCE", 1)
    batch = make_batch(package)
    closed = make_batch(package, is_open=False)
    for _ in range(3):
        make_task(batch, make_device(product, is_online=False))
    Device.objects.update(is_online=True)
    assert open_batches() == [batch.pk]
    assert closed.pk not in open_batches()
    runs.reconcile(clock=clock)
    assert counts_of(batch) == {"queued": 3}


class TestConsistency:
    """`manage.py check_consistency` (rules.md §6)."""

    def test_equal_counters(self, product: Product, batch: Batch) -> None:
        """Nothing to tell."""
        make_task(batch, make_device(product))
        out = StringIO()
        call_command("check_consistency", stdout=out)
        assert "All counters equal their tasks." in out.getvalue()

    def test_every_difference_is_told(self, product: Product, package: UpdatePackage, batch: Batch) -> None:
        """By counter, owner and column; the command exits with 1."""
        make_task(batch, make_device(product))
        BatchCounts.objects.update(queued=5)
        PackageCounts.objects.update(late_success=1)
        FailureCount.objects.create(batch=batch, reason=1, source_version="1.0", count=2)
        assert [tuple(found) for found in check_consistency()] == [
            ("batch", batch.public_id, "queued", 5, 1),
            ("failures", f"{batch.public_id} 1 1.0", "count", 2, 0),
            ("package", package.public_id, "late_success", 1, 0),
        ]
        out = StringIO()
        with pytest.raises(SystemExit) as left:
            call_command("check_consistency", stdout=out, no_color=True)
        assert left.value.code == 1
        assert f"batch {batch.public_id}: queued is 5, its tasks say 1" in out.getvalue()

    def test_history_without_its_update_is_told(self, product: Product, batch: Batch) -> None:
        """The database does not check it line by line (decisions/0011)."""
        TaskEvent.objects.create(task_id=make_task(batch, make_device(product)).pk, at=NOW, kind=1, status=2)
        assert check_consistency() == []
        TaskEvent.objects.create(task_id=10**9, at=NOW, kind=1, status=2)
        ((kind, _, column, stored, counted),) = check_consistency()
        assert (kind, column, stored, counted) == ("history", "count", 1, 0)

    def test_counters_without_a_row_are_missed(self, product: Product, batch: Batch) -> None:
        """A batch with tasks whose counters were lost."""
        make_task(batch, make_device(product))
        BatchCounts.objects.all().delete()
        assert [found.column for found in check_consistency()] == ["queued"]
