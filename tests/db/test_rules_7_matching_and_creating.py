"""rules.md §7 "Matching and creating", each rule under its own words.

This file is long because it is one thing: the rules of one heading of rules.md §7, each under its own words. The line
about launch slices needs PostgreSQL and stands in `test_rules_7_launch_slices.py`.
"""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from batches_app.commands.cancel import cancel_tasks
from batches_app.domain.states import (
    CANCELED,
    CONFIRM,
    FAILED,
    IN_PROGRESS,
    NOTIFIED,
    QUEUED,
    SUCCEEDED,
    EventKind,
    Reason,
    TaskStatus,
)
from batches_app.engine import reconcile
from batches_app.models import Batch, MatchRequest, Task, TaskEvent
from devices_app.models import Device, DeviceGroup, Module, Product
from ota_console.core.ids import new_public_id
from ota_console.outbox.models import OutboxMessage
from packages_app.models import UpdatePackage
from tests.campaign import DYNAMIC, OPERATOR, launch, match
from tests.factories import NOW, make_batch, make_device, make_package, make_product, make_task, set_version
from tests.play import (
    assert_counters_are_true,
    disconnected,
    progress,
    push,
    push_and_record,
    record,
    said,
    task_of,
    version,
)

pytestmark = pytest.mark.django_db

UNFINISHED = (CONFIRM, QUEUED, NOTIFIED, IN_PROGRESS)
WAITING = (CONFIRM, QUEUED, NOTIFIED)


@pytest.fixture
def product() -> Product:
    return make_product()


@pytest.fixture
def device(product: Product) -> Device:
    """Online, on 1.0."""
    return make_device(product)


@pytest.fixture
def package(product: Product) -> UpdatePackage:
    """To 2.0."""
    return make_package(product)


@pytest.fixture
def mcu(device: Device) -> Module:
    """Another module, on 1.0 too."""
    module = Module.objects.create(product=device.product, name="MCU", created_at=NOW)
    set_version(device, "1.0", module)
    return module


@pytest.fixture
def mcu_package(mcu: Module) -> UpdatePackage:
    return make_package(mcu.product, module=mcu)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


# --- Lanes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", UNFINISHED)
@pytest.mark.parametrize("is_multi_module", [False, True])
def test_without_multi_module_mode_any_unfinished_task_of_the_device_conflicts(
    device: Device, package: UpdatePackage, mcu_package: UpdatePackage, status: TaskStatus, *, is_multi_module: bool
) -> None:
    """Batch without multi-module mode: any unfinished task of the device conflicts."""
    older = make_batch(mcu_package, is_multi_module=is_multi_module)
    blocker = make_task(older, device, status, is_multi_module=is_multi_module)
    newer = launch(package, NOW)
    task = task_of(newer, device)
    assert (task.status, task.reason, task.blocker) == (FAILED, Reason.CONFLICT, blocker)
    blocker.refresh_from_db()
    assert blocker.status == status
    assert_counters_are_true()


@pytest.mark.parametrize("status", [SUCCEEDED, FAILED, CANCELED])
def test_an_ended_task_holds_no_lane(device: Device, package: UpdatePackage, status: TaskStatus) -> None:
    """Only an unfinished task of the device conflicts."""
    make_task(make_batch(package), device, status, reason=Reason.TIMEOUT)
    assert task_of(launch(package, NOW), device).status == QUEUED


def test_with_multi_module_mode_other_modules_do_not_conflict(
    device: Device, package: UpdatePackage, mcu_package: UpdatePackage
) -> None:
    """Batch with it: an unfinished task of the same module, or of a batch without multi-module mode, conflicts."""
    first = launch(mcu_package, NOW, is_multi_module=True)
    second = launch(package, NOW, is_multi_module=True)
    assert [task_of(batch, device).status for batch in (first, second)] == [QUEUED, QUEUED]


@pytest.mark.parametrize("status", UNFINISHED)
def test_with_multi_module_mode_a_batch_without_it_conflicts(
    device: Device, package: UpdatePackage, mcu_package: UpdatePackage, status: TaskStatus
) -> None:
    """Batch with it: an unfinished task … of a batch without multi-module mode, conflicts."""
    blocker = make_task(make_batch(mcu_package), device, status)
    task = task_of(launch(package, NOW, is_multi_module=True), device)
    assert (task.status, task.reason, task.blocker) == (FAILED, Reason.CONFLICT, blocker)


@pytest.mark.parametrize("status", WAITING)
def test_for_the_same_module_the_newer_overwrites_the_older(
    device: Device, package: UpdatePackage, status: TaskStatus
) -> None:
    """For the same module the newer overwrites the older unless that one is IN_PROGRESS (multi-module mode)."""
    older = make_task(make_batch(package, is_multi_module=True), device, status, is_multi_module=True)
    newer = launch(make_package(device.product, version="3.0"), NOW, is_multi_module=True)
    older.refresh_from_db()
    assert (older.status, older.reason) == (CANCELED, Reason.OVERWRITTEN)
    assert task_of(newer, device).status == QUEUED
    assert_counters_are_true()


def test_for_the_same_module_an_upgrading_task_is_not_overwritten(device: Device, package: UpdatePackage) -> None:
    """For the same module the newer overwrites the older unless that one is IN_PROGRESS (multi-module mode)."""
    older = make_task(make_batch(package, is_multi_module=True), device, IN_PROGRESS, is_multi_module=True)
    newer = launch(make_package(device.product, version="3.0"), NOW, is_multi_module=True)
    older.refresh_from_db()
    assert older.status == IN_PROGRESS
    assert task_of(newer, device).reason == Reason.CONFLICT


def test_one_lane_that_cannot_be_freed_saves_the_others(
    device: Device, package: UpdatePackage, mcu_package: UpdatePackage
) -> None:
    """Any unfinished task of the device conflicts: what the newer cannot have, it does not take half of."""
    waiting = make_task(make_batch(mcu_package, is_multi_module=True), device, NOTIFIED, is_multi_module=True)
    make_task(make_batch(package, is_multi_module=True), device, IN_PROGRESS, is_multi_module=True)
    newer = launch(make_package(device.product, version="3.0"), NOW, busy_policy=Batch.BusyPolicy.OVERWRITE)
    waiting.refresh_from_db()
    assert waiting.status == NOTIFIED
    assert task_of(newer, device).reason == Reason.CONFLICT
    assert_counters_are_true()


@pytest.mark.parametrize("is_multi_module", [False, True])
def test_the_database_refuses_a_second_unfinished_task_of_a_module(
    device: Device, package: UpdatePackage, *, is_multi_module: bool
) -> None:
    """Constraints: unique (device, module) among unfinished tasks."""
    make_task(make_batch(package), device, QUEUED, is_multi_module=is_multi_module)
    other = make_batch(package)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_task(other, device, NOTIFIED, is_multi_module=True)


def test_the_database_refuses_two_unfinished_tasks_without_multi_module_mode(
    device: Device, package: UpdatePackage, mcu_package: UpdatePackage
) -> None:
    """Constraints: unique (device) among unfinished tasks without multi-module mode."""
    make_task(make_batch(package), device, QUEUED)
    other = make_batch(mcu_package)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_task(other, device, NOTIFIED)


# --- Dynamic batches -------------------------------------------------------------------------------------------------


def update_and_fall_back(batch: Batch, device: Device, nth: int) -> None:
    """The device is updated, and put back to 1.0 by somebody."""
    start = NOW + minutes(10 * nth)
    push_and_record(batch, at=start)
    said(version(device, "2.0"), at=start + minutes(1))
    said(version(device, "1.0"), at=start + minutes(2))
    match(start + minutes(3))


def test_a_dynamic_batch_makes_a_new_task_for_each_match_of_a_device_at_most_ten(
    device: Device, package: UpdatePackage
) -> None:
    """A dynamic batch makes a new task for each match of a device, at most 10 (`match_no`)."""
    batch = launch(package, NOW, selection=DYNAMIC, source_versions=("1.0",))
    for nth in range(12):
        update_and_fall_back(batch, device, nth)
    tasks = Task.objects.filter(batch=batch).order_by("match_no")
    assert list(tasks.values_list("match_no", "status")) == [(no, SUCCEEDED) for no in range(1, 11)]
    assert_counters_are_true()


def test_group_based_ones_too(device: Device, package: UpdatePackage) -> None:
    """A dynamic batch makes a new task for each match …, group-based ones too."""
    group = DeviceGroup.objects.create(
        public_id=new_public_id(),
        name="old ones",
        kind=DeviceGroup.Kind.DYNAMIC,
        product=device.product,
        filter={"module": "default", "versions": ["1.0"]},
        created_at=NOW,
    )
    batch = launch(package, NOW, selection=DYNAMIC, group=group.public_id)
    update_and_fall_back(batch, device, 0)
    assert list(Task.objects.order_by("match_no").values_list("match_no", "status")) == [(1, SUCCEEDED), (2, QUEUED)]


@pytest.mark.parametrize("kind", [Batch.Kind.UPDATE, Batch.Kind.VERIFY])
def test_static_and_verify_batches_have_one(device: Device, product: Product, kind: Batch.Kind) -> None:
    """Static and verify batches have one [task of a device]."""
    is_verify = kind == Batch.Kind.VERIFY
    status = UpdatePackage.Status.NOT_VERIFIED if is_verify else UpdatePackage.Status.VERIFICATION_NOT_REQUIRED
    target = Batch.Target.ALL if is_verify else Batch.Target.SPECIFIC
    package = make_package(product, status=status)
    batch = launch(package, NOW, kind=kind, target=target, device_names=(device.name,))
    update_and_fall_back(batch, device, 0)
    assert Task.objects.get().status == SUCCEEDED


def test_a_match_is_numbered_once(device: Device, package: UpdatePackage) -> None:
    """Unique: (batch, device, match_no)."""
    batch = make_batch(package)
    make_task(batch, device, SUCCEEDED)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_task(batch, device, QUEUED)
    make_task(batch, device, QUEUED, match_no=2)


def test_conflict_rows_are_made_at_launch(device: Device, package: UpdatePackage) -> None:
    """CONFLICT rows are made at launch only."""
    make_task(make_batch(make_package(device.product, version="1.5")), device, IN_PROGRESS)
    batch = launch(package, NOW, selection=DYNAMIC, source_versions=("1.0",))
    assert task_of(batch, device).reason == Reason.CONFLICT


def test_a_later_match_of_a_busy_device_waits_until_its_lane_frees(device: Device, package: UpdatePackage) -> None:
    """A later match of a busy device waits and is looked at again when its lane frees."""
    dynamic = launch(package, NOW, selection=DYNAMIC, source_versions=("1.1",))
    holder = make_task(make_batch(make_package(device.product, version="1.5")), device, NOTIFIED)
    said(version(device, "1.0"), version(device, "1.1"), at=NOW + minutes(1))
    match(NOW + minutes(1))
    assert not Task.objects.filter(batch=dynamic).exists()
    cancel_tasks(tasks=[holder.public_id], actor=OPERATOR, now=NOW + minutes(2))
    match(NOW + minutes(2))
    assert task_of(dynamic, device).status == QUEUED
    assert_counters_are_true()


def test_no_rematch_after_an_operator_canceled_that_devices_task(device: Device, package: UpdatePackage) -> None:
    """No re-match after an operator canceled that device's task."""
    batch = launch(package, NOW, selection=DYNAMIC, source_versions=("1.0",))
    cancel_tasks(tasks=[task_of(batch, device).public_id], actor=OPERATOR, now=NOW + minutes(1))
    said(version(device, "0.9"), version(device, "1.0"), at=NOW + minutes(2))
    said(version(device, "0.9"), at=NOW + minutes(3))
    said(version(device, "1.0"), at=NOW + minutes(4))
    match(NOW + minutes(5))
    reconcile.look_for_matches(batch_id=batch.pk, after=0, now=NOW + minutes(6))
    match(NOW + minutes(7))
    assert Task.objects.get(batch=batch).status == CANCELED


# --- Version reports and pushes --------------------------------------------------------------------------------------


def test_equal_version_reports_in_a_row_start_nothing(device: Device, package: UpdatePackage) -> None:
    """Equal version reports in a row start no matching, no event and no forwarding."""
    launch(package, NOW, selection=DYNAMIC, source_versions=("0.8",))
    said(version(device, "1.1"), at=NOW + minutes(1))
    MatchRequest.objects.all().delete()
    told = OutboxMessage.objects.count()
    said(version(device, "1.1"), version(device, "1.1"), at=NOW + minutes(1.5))
    assert (MatchRequest.objects.count(), OutboxMessage.objects.count()) == (0, told)


def test_open_tasks_still_see_equal_version_reports(device: Device, package: UpdatePackage) -> None:
    """[Of equal version reports in a row,] open tasks still see them."""
    task = make_task(make_batch(package), device, NOTIFIED)
    set_version(device, "2.0")
    said(version(device, "2.0"))
    task.refresh_from_db()
    assert task.status == SUCCEEDED


def test_before_a_push_a_target_already_reached_is_updated_without_a_push(
    device: Device, package: UpdatePackage
) -> None:
    """Before a push: target already reached → SUCCEEDED without a push."""
    batch = launch(package, NOW)
    set_version(device, "2.0")
    assert push(batch) == []
    assert task_of(batch, device).status == SUCCEEDED
    assert_counters_are_true()


def test_a_sweep_finds_offline_devices_that_reached_the_target(device: Device, package: UpdatePackage) -> None:
    """Target already reached → SUCCEEDED without a push (a sweep finds offline ones)."""
    batch = launch(package, NOW)
    said(disconnected(device, device.session), at=NOW + minutes(1))
    set_version(device, "2.0")
    reconcile.reconcile_batch(batch_id=batch.pk, after=0, now=NOW + minutes(2))
    assert task_of(batch, device).status == SUCCEEDED
    assert_counters_are_true()


@pytest.mark.parametrize("is_delta", [True, False])
def test_before_a_push_the_source_version_must_still_be_one_of_the_batchs(
    device: Device, product: Product, *, is_delta: bool
) -> None:
    """Delta package, or a batch with source versions: else FAILED `SOURCE_VERSION_CHANGED`, not retried."""
    kind = UpdatePackage.Kind.DELTA if is_delta else UpdatePackage.Kind.FULL
    package = make_package(product, kind=kind, source_version="1.0")
    batch = launch(package, NOW, source_versions=("1.0",), retry_interval_minutes=0, retry_count=2)
    set_version(device, "1.7")
    assert push(batch) == []
    task = task_of(batch, device)
    assert (task.status, task.reason, task.attempt) == (FAILED, Reason.SOURCE_VERSION_CHANGED, 0)
    assert_counters_are_true()


def test_otherwise_the_source_version_becomes_the_devices_current_one_at_the_first_push_of_each_attempt(
    device: Device, package: UpdatePackage
) -> None:
    """Otherwise the task's source version becomes the device's current one at the first push of each attempt."""
    batch = make_batch(package, retry_interval_minutes=0, retry_count=2)
    task = make_task(batch, device)
    set_version(device, "1.1")
    record(push(batch))
    task.refresh_from_db()
    assert task.source_version == "1.1"
    said(progress(device, 5), version(device, "1.3"), at=NOW + minutes(1))
    record(push(batch, at=NOW + minutes(1)), at=NOW + minutes(1))
    task.refresh_from_db()
    assert (task.source_version, task.attempt, task.status) == ("1.3", 1, IN_PROGRESS)


def test_the_retry_of_an_unexpected_version_is_pushed(device: Device, package: UpdatePackage) -> None:
    """Seed: the system automatically retries … a version that was neither the source version nor the target."""
    batch = launch(package, NOW, source_versions=("1.0",), retry_interval_minutes=0, retry_count=1)
    push_and_record(batch)
    said(progress(device, 5), version(device, "1.3"), at=NOW + minutes(1))
    assert push_and_record(batch, at=NOW + minutes(1)) == 1
    said(progress(device, 5), version(device, "1.3"), version(device, "2.0"), at=NOW + minutes(2))
    task = task_of(batch, device)
    assert (task.status, task.attempt, task.push_no) == (SUCCEEDED, 1, 2)
    assert_counters_are_true()


def test_a_push_again_within_an_attempt_keeps_the_source_version(device: Device, package: UpdatePackage) -> None:
    """… at the *first* push of each attempt."""
    batch = launch(package, NOW)
    push_and_record(batch)
    Task.objects.update(due_at=NOW)
    set_version(device, "1.4")
    push_and_record(batch)
    assert task_of(batch, device).source_version == "1.0"


def test_with_an_unknown_source_version_the_first_other_version_becomes_the_source(
    product: Product, package: UpdatePackage
) -> None:
    """Source version unknown: the first version other than the target that the device reports becomes the source."""
    device = make_device(product, version="")
    batch = launch(package, NOW)
    push_and_record(batch)
    said(progress(device, 10), version(device, "1.2"), at=NOW + minutes(1))
    task = task_of(batch, device)
    assert (task.status, task.source_version) == (IN_PROGRESS, "1.2")
    said(version(device, "1.2"), at=NOW + minutes(2))
    task.refresh_from_db()
    assert task.status == IN_PROGRESS


def test_only_a_different_one_later_while_upgrading_is_a_mismatch(product: Product, package: UpdatePackage) -> None:
    """Only a different one later, while IN_PROGRESS, is `VERSION_MISMATCH`."""
    device = make_device(product, version="")
    batch = launch(package, NOW)
    push_and_record(batch)
    said(version(device, "1.2"), version(device, "1.3"), at=NOW + minutes(1))
    task = task_of(batch, device)
    assert (task.status, task.source_version) == (NOTIFIED, "1.2")
    said(progress(device, 10), version(device, "1.4"), at=NOW + minutes(2))
    task.refresh_from_db()
    assert (task.status, task.reason) == (FAILED, Reason.VERSION_MISMATCH)
    assert TaskEvent.objects.filter(task=task).latest("id").kind == EventKind.FAILURE
    assert_counters_are_true()
