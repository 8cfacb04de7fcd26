"""What time moves: deadlines, starts, finishes, and the end of batches."""

from datetime import datetime, timedelta

import pytest

from batches_app.commands.cancel import cancel_batch, cancel_tasks_by_state
from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.engine import sweep
from batches_app.engine.cancel import cancel_once
from batches_app.engine.sweep import purge_lists, sweep_once
from batches_app.models import Batch, DeviceList, DeviceListEntry, FailureCount, Task
from devices_app.models import Product
from ota_console.core.clock import FakeClock
from ota_console.core.ids import new_public_id
from packages_app.models import UpdatePackage
from tests.campaign import DYNAMIC, OPERATOR, VERIFY, carry_out_cancel, counts_of, launch, start
from tests.factories import make_batch, make_device, make_package, make_product, make_task

pytestmark = pytest.mark.django_db
Status = UpdatePackage.Status


@pytest.fixture
def product() -> Product:
    return make_product()


@pytest.fixture
def package(product: Product) -> UpdatePackage:
    return make_package(product)


def after_sweep(batch: Batch, now: datetime) -> Batch:
    sweep_once(now=now)
    batch.refresh_from_db()
    return batch


def test_a_planned_batch_starts_at_its_time(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """PLANNED → IN_PROGRESS."""
    make_device(product)
    batch = launch(package, clock(), schedule_at=clock() + timedelta(hours=1))
    assert after_sweep(batch, clock.advance(minutes=59)).status == BatchStatus.PLANNED
    assert after_sweep(batch, clock.advance(minutes=1)).status == BatchStatus.IN_PROGRESS
    assert batch.started_at == clock()


def test_an_upgrading_device_times_out(product: Product, package: UpdatePackage, now: datetime) -> None:
    """The seed: never retried."""
    batch = make_batch(package, retry_count=2, retry_interval_minutes=10)
    task = make_task(batch, make_device(product), TaskStatus.IN_PROGRESS, deadline_at=now)
    sweep_once(now=now - timedelta(seconds=1))
    assert counts_of(batch) == {"in_progress": 1}
    sweep_once(now=now)
    task.refresh_from_db()
    assert (task.status, task.reason) == (TaskStatus.FAILED, Reason.TIMEOUT)
    assert FailureCount.objects.get(batch=batch).reason == Reason.TIMEOUT
    assert counts_of(batch) == {"failed": 1}


def test_a_notified_device_without_an_answer(product: Product, package: UpdatePackage, now: datetime) -> None:
    """rules.md §2: NOT_ACKNOWLEDGED, where the batch sets it."""
    batch = make_batch(package, notify_timeout_minutes=10)
    make_task(batch, make_device(product), TaskStatus.NOTIFIED, deadline_at=now)
    sweep_once(now=now)
    assert Task.objects.get().reason == Reason.NOT_ACKNOWLEDGED


def test_many_deadlines_take_several_sweeps(
    product: Product, package: UpdatePackage, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bounded piece at a time; the sweep says that there is more."""
    monkeypatch.setattr("batches_app.engine.sweep.TASKS_AT_ONCE", 1)
    batch = make_batch(package)
    for _ in range(2):
        make_task(batch, make_device(product), TaskStatus.IN_PROGRESS, deadline_at=now)
    assert sweep_once(now=now)
    assert counts_of(batch) == {"in_progress": 1, "failed": 1}
    sweep_once(now=now)
    assert counts_of(batch) == {"failed": 2}


class TestFinish:
    """rules.md §3: the finish time."""

    def test_what_waits_is_canceled_and_what_upgrades_goes_on(
        self, product: Product, package: UpdatePackage, now: datetime
    ) -> None:
        """CONFIRM, QUEUED and NOTIFIED become CANCELED SCHEDULE_ENDED; then the batch is COMPLETED."""
        batch = make_batch(package, finish_at=now)
        for status in (TaskStatus.CONFIRM, TaskStatus.QUEUED, TaskStatus.NOTIFIED, TaskStatus.IN_PROGRESS):
            make_task(batch, make_device(product), status)
        after_sweep(batch, now)
        carry_out_cancel(batch, now)
        assert set(Task.objects.filter(ended_at=now).values_list("reason", flat=True)) == {Reason.SCHEDULE_ENDED}
        assert after_sweep(batch, now).status == BatchStatus.IN_PROGRESS
        Task.objects.filter(status=TaskStatus.IN_PROGRESS).update(deadline_at=now)
        after_sweep(batch, now)
        assert (after_sweep(batch, now).status, batch.end_reason) == (BatchStatus.COMPLETED, "finish_time")
        assert counts_of(batch) == {"canceled": 3, "failed": 1}

    def test_a_retry_that_may_not_come_ends(self, product: Product, package: UpdatePackage, now: datetime) -> None:
        """No new push after the finish time."""
        batch = make_batch(package, finish_at=now)
        make_task(
            batch,
            make_device(product),
            TaskStatus.IN_PROGRESS,
            is_retry_pending=True,
            reason=Reason.DOWNLOAD_FAILED,
            attempt=1,
        )
        sweep_once(now=now)
        assert counts_of(batch) == {"failed": 1}

    def test_a_batch_whose_devices_all_waited_is_completed(
        self, product: Product, package: UpdatePackage, now: datetime
    ) -> None:
        """It ran to its end; nobody canceled it."""
        batch = make_batch(package, finish_at=now)
        make_task(batch, make_device(product))
        after_sweep(batch, now)
        carry_out_cancel(batch, now)
        assert after_sweep(batch, now).status == BatchStatus.COMPLETED

    def test_it_is_asked_for_once(self, product: Product, package: UpdatePackage, now: datetime) -> None:
        """A second sweep does not start the cancel over."""
        batch = make_batch(package, finish_at=now)
        for _ in range(2):
            make_task(batch, make_device(product))
        sweep_once(now=now)
        cancel_once(batch_id=batch.pk, now=now, slice_size=1)
        cursor = Batch.objects.get(pk=batch.pk).cancel_cursor
        sweep_once(now=now)
        assert Batch.objects.get(pk=batch.pk).cancel_cursor == cursor != 0


class TestEnd:
    """rules.md §3: when a batch is over."""

    @pytest.mark.parametrize(
        ("statuses", "ended", "reason"),
        [
            ((TaskStatus.SUCCEEDED, TaskStatus.CANCELED), BatchStatus.COMPLETED, ""),
            ((TaskStatus.CANCELED, TaskStatus.CANCELED), BatchStatus.CANCELED, "all_canceled"),
            ((), BatchStatus.COMPLETED, "nothing_matched"),
        ],
    )
    def test_a_static_batch_without_unfinished_tasks_ends(
        self,
        product: Product,
        package: UpdatePackage,
        now: datetime,
        statuses: tuple[TaskStatus, ...],
        ended: BatchStatus,
        reason: str,
    ) -> None:
        """COMPLETED; CANCELED if every task was; COMPLETED with a reason if the fleet changed meanwhile."""
        batch = make_batch(package)
        for status in statuses:
            make_task(batch, make_device(product), status)
        after_sweep(batch, now)
        assert (batch.status, batch.end_reason, batch.ended_at, batch.is_open) == (ended, reason, now, False)

    def test_not_while_the_launch_writes(self, product: Product, package: UpdatePackage, now: datetime) -> None:
        """Its counters are empty at first."""
        make_device(product)
        batch = start(package, now)
        assert after_sweep(batch, now).status == BatchStatus.IN_PROGRESS

    def test_not_while_a_task_is_unfinished(self, product: Product, package: UpdatePackage, now: datetime) -> None:
        """In any of the four states."""
        batch = make_batch(package)
        make_task(batch, make_device(product))
        assert after_sweep(batch, now).is_open

    def test_a_dynamic_batch_waits_for_more(self, package: UpdatePackage, now: datetime) -> None:
        """It stays IN_PROGRESS until its policy is canceled."""
        batch = make_batch(package, selection=DYNAMIC)
        assert after_sweep(batch, now).status == BatchStatus.IN_PROGRESS

    def test_a_canceled_policy_is_closed_after_its_last_task(
        self, product: Product, package: UpdatePackage, now: datetime
    ) -> None:
        """Ongoing tasks still move by themselves."""
        make_device(product)
        batch = launch(package, now, selection=DYNAMIC, source_versions=("1.0",))
        cancel_batch(batch=batch.public_id, actor=OPERATOR, now=now)
        assert after_sweep(batch, now).is_open
        cancel_tasks_by_state(batch=batch.public_id, states=[TaskStatus.QUEUED], actor=OPERATOR, now=now)
        carry_out_cancel(batch, now)
        assert not after_sweep(batch, now).is_open


class TestVerification:
    """rules.md §3: what a verify batch says of its package."""

    @pytest.mark.parametrize(
        ("statuses", "expected"),
        [
            ((TaskStatus.SUCCEEDED, TaskStatus.SUCCEEDED), Status.VERIFIED),
            ((TaskStatus.SUCCEEDED, TaskStatus.CANCELED), Status.VERIFICATION_FAILED),
            ((TaskStatus.CANCELED,), Status.NOT_VERIFIED),
        ],
    )
    def test_all_updated_or_not(
        self, product: Product, now: datetime, statuses: tuple[TaskStatus, ...], expected: Status
    ) -> None:
        """Verified only if all are; canceled before any push: not verified."""
        package = make_package(product, status=Status.VERIFYING)
        batch = make_batch(package, kind=VERIFY)
        for status in statuses:
            make_task(batch, make_device(product), status)
        after_sweep(batch, now)
        package.refresh_from_db()
        assert package.status == expected

    def test_canceled_after_a_push_is_failed(self, product: Product, now: datetime) -> None:
        """A device may have it already."""
        package = make_package(product, status=Status.VERIFYING)
        batch = make_batch(package, kind=VERIFY)
        make_task(batch, make_device(product), TaskStatus.NOTIFIED)
        cancel_batch(batch=batch.public_id, actor=OPERATOR, now=now)
        carry_out_cancel(batch, now)
        after_sweep(batch, now)
        package.refresh_from_db()
        assert package.status == Status.VERIFICATION_FAILED

    def test_another_running_verification_decides(self, product: Product, now: datetime) -> None:
        """The later one is still at it."""
        package = make_package(product, status=Status.VERIFYING)
        batch, other = make_batch(package, kind=VERIFY), make_batch(package, kind=VERIFY)
        make_task(batch, make_device(product), TaskStatus.CANCELED)
        make_task(other, make_device(product))
        after_sweep(batch, now)
        package.refresh_from_db()
        assert package.status == Status.VERIFYING


def test_lists_that_nobody_launched_are_thrown_away(product: Product, package: UpdatePackage, now: datetime) -> None:
    """After a week; a launched one stays."""
    device = make_device(product)
    lists = [DeviceList.objects.create(public_id=new_public_id(), product=product, created_at=now) for _ in range(2)]
    for made in lists:
        DeviceListEntry.objects.create(device_list=made, device=device)
    make_batch(package, device_list=lists[0])
    assert purge_lists(now=now + timedelta(days=6)) == 0
    assert purge_lists(now=now + timedelta(days=8)) == 1
    assert list(DeviceList.objects.all()) == [lists[0]]


def test_a_batch_that_moved_before_its_lock_is_left_alone(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """Between the list of due batches and the lock somebody else may have been faster."""
    planned = make_batch(package, status=BatchStatus.PLANNED, schedule_at=now)
    busy, launching = make_batch(package), make_batch(package, launch_state=Batch.LaunchState.WRITING)
    make_task(busy, make_device(product))
    assert not sweep._complete(busy.pk, now)
    assert not sweep._complete(launching.pk, now)
    assert sweep._start(planned.pk, now)
    assert not sweep._start(planned.pk, now)


def test_a_policy_that_was_canceled_before_its_launch_is_closed(package: UpdatePackage, now: datetime) -> None:
    """No worker needs to look at it any more."""
    batch = start(package, now, selection=DYNAMIC, source_versions=("1.0",))
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=now)
    after_sweep(batch, now)
    assert (batch.is_open, batch.launch_state) == (False, Batch.LaunchState.STOPPED)
