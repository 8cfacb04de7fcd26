"""Confirming in the app's place, and starting ended updates again."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from batches_app.commands.confirm import confirm_tasks, reupgrade_tasks
from batches_app.commands.results import TaskResult
from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.models import Batch, Task
from devices_app.models import Module, Product
from ota_console.audit.models import AuditEntry
from ota_console.core.errors import Invalid
from packages_app.models import UpdatePackage
from tests.campaign import OPERATOR, VERIFY, carry_out_cancel, counts_of, launch
from tests.factories import make_batch, make_device, make_devices, make_package, make_product, make_task, set_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def product() -> Product:
    return make_product()


@pytest.fixture
def package(product: Product) -> UpdatePackage:
    return make_package(product)


def confirm(task: Task, now: datetime) -> TaskResult:
    (result,) = confirm_tasks(tasks=[task.public_id], actor=OPERATOR, now=now)
    task.refresh_from_db()
    return result


def reupgrade(task: Task, now: datetime) -> TaskResult:
    (result,) = reupgrade_tasks(tasks=[task.public_id], actor=OPERATOR, now=now)
    task.refresh_from_db()
    return result


def failed(batch: Batch, product: Product, **values: object) -> Task:
    """An update that failed by time-out, counted under its reason."""
    device = make_device(product)
    return make_task(batch, device, TaskStatus.FAILED, reason=Reason.TIMEOUT, push_no=1, progress=50, **values)


class TestConfirm:
    """CONFIRM → To Be Pushed, within [start, finish)."""

    def test_a_confirmed_device_is_pushed(self, product: Product, package: UpdatePackage, now: datetime) -> None:
        """It is due at once; the audit names who confirmed."""
        make_device(product)
        batch = launch(package, now, needs_confirm=True)
        task = Task.objects.get()
        assert confirm(task, now).is_done
        assert (task.status, task.confirmed_at, task.due_at) == (TaskStatus.QUEUED, now, now)
        assert counts_of(batch) == {"queued": 1}
        assert AuditEntry.objects.filter(action="task.confirm", target_id=task.public_id).exists()

    @pytest.mark.parametrize(("hours", "code"), [(0, "before_schedule"), (2, ""), (5, "after_finish")])
    def test_only_within_the_batchs_time(
        self, product: Product, package: UpdatePackage, now: datetime, hours: int, code: str
    ) -> None:
        """By the clock, whatever the sweep has done."""
        batch = make_batch(
            package,
            needs_confirm=True,
            schedule_at=now + timedelta(hours=1),
            finish_at=now + timedelta(hours=4),
        )
        task = make_task(batch, make_device(product), TaskStatus.CONFIRM)
        assert confirm(task, now + timedelta(hours=hours)).code == code

    def test_a_batch_that_is_being_canceled_is_not_confirmed(
        self, product: Product, package: UpdatePackage, now: datetime
    ) -> None:
        """Cancel wins."""
        task = make_task(make_batch(package, cancel_mask=15), make_device(product), TaskStatus.CONFIRM)
        assert confirm(task, now).code == "being_canceled"

    def test_each_task_is_told(self, product: Product, package: UpdatePackage, now: datetime) -> None:
        """Nothing is half done silently."""
        batch = make_batch(package)
        waiting, queued = (
            make_task(batch, make_device(product), status) for status in (TaskStatus.CONFIRM, TaskStatus.QUEUED)
        )
        results = confirm_tasks(tasks=[queued.public_id, "nowhere", waiting.public_id], actor=OPERATOR, now=now)
        assert [r.code for r in results] == ["not_waiting_for_confirmation", "unknown_task", ""]
        assert results[0].message == "This update does not wait for a confirmation."

    def test_a_canceled_policy_leaves_its_tasks_to_be_confirmed(
        self, product: Product, package: UpdatePackage, now: datetime
    ) -> None:
        """rules.md §3: without the checkbox they go on, and can be confirmed."""
        batch = make_batch(package, selection=Batch.Selection.DYNAMIC, status=BatchStatus.CANCELED)
        assert confirm(make_task(batch, make_device(product), TaskStatus.CONFIRM), now).is_done


class TestReupgrade:
    """FAILED, CANCELED → To Be Pushed."""

    def test_an_ended_update_starts_afresh(self, product: Product, package: UpdatePackage, now: datetime) -> None:
        """Timer, progress, retries and failure are reset; the batch is open again."""
        batch = make_batch(package, status=BatchStatus.COMPLETED, is_open=False, ended_at=now)
        task = failed(batch, product, attempt=2)
        assert reupgrade(task, now).is_done
        assert (task.status, task.reason, task.progress, task.attempt) == (TaskStatus.QUEUED, 0, None, 0)
        assert task.due_at == now
        batch.refresh_from_db()
        assert (batch.status, batch.is_open, batch.ended_at) == (BatchStatus.IN_PROGRESS, True, None)
        assert counts_of(batch) == {"queued": 1}

    def test_the_devices_present_connection_counts(
        self, product: Product, package: UpdatePackage, now: datetime
    ) -> None:
        """Ended tasks are not told of connects and disconnects."""
        task = failed(make_batch(package), product)
        product.devices.update(is_online=False)
        reupgrade(task, now)
        assert (task.is_offline, task.due_at) == (True, None)

    def test_a_device_on_the_target_is_updated_at_once(
        self, product: Product, package: UpdatePackage, now: datetime
    ) -> None:
        """Success is proven by a version report, and there is one."""
        batch = make_batch(package)
        task = failed(batch, product)
        assert task.device is not None
        set_version(task.device, "2.0")
        assert reupgrade(task, now).is_done
        assert counts_of(batch) == {"succeeded": 1}

    def test_not_in_a_canceled_batch(self, product: Product, package: UpdatePackage, now: datetime) -> None:
        """rules.md §3."""
        task = failed(make_batch(package, status=BatchStatus.CANCELED), product)
        assert reupgrade(task, now).code == "batch_canceled"

    def test_not_after_the_finish_time(self, product: Product, package: UpdatePackage, now: datetime) -> None:
        """rules.md §3."""
        task = failed(make_batch(package, finish_at=now), product)
        assert reupgrade(task, now).code == "after_finish"

    def test_not_while_the_state_is_being_canceled(
        self, product: Product, package: UpdatePackage, now: datetime
    ) -> None:
        """It would be canceled at once, or run on against the operator's will."""
        task = failed(make_batch(package, cancel_mask=1 << TaskStatus.QUEUED), product)
        assert reupgrade(task, now).code == "being_canceled"

    def test_not_while_another_update_holds_the_lane(
        self, product: Product, package: UpdatePackage, now: datetime
    ) -> None:
        """rules.md §7."""
        task = failed(make_batch(package), product)
        assert task.device is not None
        make_task(make_batch(make_package(product, version="3.0")), task.device)
        assert reupgrade(task, now).code == "lane_held"

    def test_another_module_may_run_beside_it(self, product: Product, package: UpdatePackage, now: datetime) -> None:
        """In multi-module mode on both sides only."""
        camera = Module.objects.create(product=product, name="camera", created_at=now)
        task = failed(make_batch(package, is_multi_module=True), product, is_multi_module=True)
        assert task.device is not None
        other = make_batch(make_package(product, module=camera), is_multi_module=True)
        make_task(other, task.device, is_multi_module=True)
        assert reupgrade(task, now).is_done

    def test_two_ended_updates_of_one_device_do_not_both_start(
        self, product: Product, package: UpdatePackage, now: datetime
    ) -> None:
        """The first takes the lane."""
        first = failed(make_batch(package), product)
        assert first.device is not None
        second = make_task(make_batch(package), first.device, TaskStatus.CANCELED)
        results = reupgrade_tasks(tasks=[first.public_id, second.public_id], actor=OPERATOR, now=now)
        assert [r.code for r in results] == ["", "lane_held"]

    def test_not_without_the_confirmation_it_needed(
        self, product: Product, package: UpdatePackage, now: datetime
    ) -> None:
        """Vendor reference §3.8."""
        task = failed(make_batch(package, needs_confirm=True), product)
        assert reupgrade(task, now).code == "never_confirmed"

    def test_not_for_a_deleted_device(self, product: Product, package: UpdatePackage, now: datetime) -> None:
        """Its history keeps its name, nothing more."""
        task = failed(make_batch(package), product)
        Task.objects.update(device=None)
        assert reupgrade(task, now).code == "device_deleted"

    def test_what_has_not_ended_or_succeeded_is_told(
        self, product: Product, package: UpdatePackage, now: datetime
    ) -> None:
        """rules.md §2."""
        batch = make_batch(package)
        running, updated = (
            make_task(batch, make_device(product), status) for status in (TaskStatus.QUEUED, TaskStatus.SUCCEEDED)
        )
        assert reupgrade(running, now).code == "not_ended"
        assert reupgrade(updated, now).code == "already_updated"

    def test_the_package_is_being_verified_again(self, product: Product, now: datetime) -> None:
        """rules.md §3: re-upgrade → verifying again."""
        package = make_package(product, status=UpdatePackage.Status.VERIFICATION_FAILED)
        reupgrade(failed(make_batch(package, kind=VERIFY, status=BatchStatus.COMPLETED), product), now)
        package.refresh_from_db()
        assert package.status == UpdatePackage.Status.VERIFYING

    def test_a_verified_package_stays_so(self, product: Product, now: datetime) -> None:
        """Another verify batch has succeeded since."""
        package = make_package(product, status=UpdatePackage.Status.VERIFIED)
        reupgrade(failed(make_batch(package, kind=VERIFY), product), now)
        package.refresh_from_db()
        assert package.status == UpdatePackage.Status.VERIFIED

    def test_a_cancel_of_the_batch_reaches_it_again(
        self, product: Product, package: UpdatePackage, now: datetime
    ) -> None:
        """Nothing of the first cancel is left."""
        batch = make_batch(package)
        task = make_task(batch, make_device(product), TaskStatus.CANCELED, reason=Reason.CANCELED_BY_OPERATOR)
        assert reupgrade(task, now).is_done
        Batch.objects.filter(pk=batch.pk).update(cancel_mask=15, cancel_reason=Reason.BATCH_CANCELED)
        carry_out_cancel(batch, now)
        assert counts_of(batch) == {"canceled": 1}


@pytest.mark.parametrize("command", [confirm_tasks, reupgrade_tasks])
def test_nothing_named_is_refused(command: object, now: datetime) -> None:
    """A request without tasks is a mistake."""
    assert callable(command)
    with pytest.raises(Invalid):
        command(tasks=[], actor=OPERATOR, now=now)


def test_two_hundred_tasks_in_a_bounded_number_of_queries(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """The number does not grow with the tasks."""
    batch = make_batch(package)
    for device in make_devices(product, 50):
        make_task(batch, device, TaskStatus.CANCELED)
    ids = list(Task.objects.values_list("public_id", flat=True))
    with CaptureQueriesContext(connection) as queries:
        results = reupgrade_tasks(tasks=ids, actor=OPERATOR, now=now)
    assert all(result.is_done for result in results)
    assert len(queries) <= 25
