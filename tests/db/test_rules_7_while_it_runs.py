"""rules.md §7 "While it runs", each rule under its own words.

This file is long because it is one thing: the rules of one heading of rules.md §7, each under its own words.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from batches_app.commands.cancel import cancel_batch, cancel_tasks, cancel_tasks_by_state
from batches_app.commands.confirm import confirm_tasks, reupgrade_tasks
from batches_app.commands.delete_device import delete_device
from batches_app.commands.edit import BatchEdit, edit_batch
from batches_app.commands.pause import pause_batch
from batches_app.domain.pacing import Rate
from batches_app.domain.states import (
    CANCELED,
    CONFIRM,
    FAILED,
    IN_PROGRESS,
    NOTIFIED,
    QUEUED,
    SUCCEEDED,
    BatchStatus,
    EventKind,
    Reason,
    TaskStatus,
)
from batches_app.models import Batch, Task, TaskEvent
from batches_app.selectors import api_rows
from devices_app.commands.products import delete_product
from devices_app.models import Device, DeviceLogEntry, Product
from devices_app.protocol.parsing import parse
from ota_console.core.errors import Conflict
from packages_app.commands.delete import delete_package
from packages_app.models import UpdatePackage
from tests.campaign import DYNAMIC, OPERATOR, carry_out_cancel, launch, match, start
from tests.factories import (
    NOW,
    make_batch,
    make_device,
    make_devices,
    make_package,
    make_product,
    make_task,
    set_version,
)
from tests.play import (
    assert_counters_are_true,
    counts,
    history,
    progress,
    pull,
    push,
    push_and_record,
    record,
    said,
    task_of,
    version,
)

pytestmark = pytest.mark.django_db


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


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def statuses(batch: Batch) -> list[int]:
    return list(Task.objects.filter(batch=batch).order_by("pk").values_list("status", flat=True))


# --- What a device says ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [CONFIRM, QUEUED, NOTIFIED, IN_PROGRESS])
@pytest.mark.parametrize("reported", ["2.0", "1.7"])
def test_a_version_report_of_another_module_has_no_effect_on_the_task(
    device: Device, package: UpdatePackage, status: TaskStatus, reported: str
) -> None:
    """A version report of another module has no effect on the task."""
    task = make_task(make_batch(package), device, status)
    said(version(device, reported, module="MCU"), at=NOW + minutes(1))
    before = Task.objects.filter(pk=task.pk).values().get()
    assert (before["status"], before["updated_at"]) == (status, NOW)
    assert history(task) == []


def test_a_devices_own_clock_is_never_used(device: Device, package: UpdatePackage) -> None:
    """A device's own clock is never used."""
    task = make_task(make_batch(package, timeout_minutes=60), device, NOTIFIED)
    future = int(datetime(2199, 1, 1, tzinfo=UTC).timestamp() * 1000)
    body = {"id": future, "time": future, "params": {"step": "5", "desc": "", "time": future, "timestamp": future}}
    topic = f"/ota/device/progress/{device.product.product_key}/{device.name}"
    said(parse(topic, orjson.dumps(body)), at=NOW + minutes(1))
    task.refresh_from_db()
    assert (task.progress_at, task.deadline_at) == (NOW + minutes(1), NOW + minutes(61))
    assert set(TaskEvent.objects.values_list("at", flat=True)) == {NOW + minutes(1)}


@pytest.mark.parametrize("code", [-1, -2, -3, -4])
def test_a_failure_code_without_an_unfinished_task_is_recorded_in_the_devices_log_nothing_else(
    device: Device, package: UpdatePackage, code: int
) -> None:
    """A failure code without an unfinished task is recorded in the device's log, nothing else."""
    task = make_task(make_batch(package), device, SUCCEEDED)
    said(progress(device, code, "no space"), at=NOW + minutes(1))
    entry = DeviceLogEntry.objects.get(device=device)
    assert (entry.at, entry.detail) == (NOW + minutes(1), f"{code} no space")
    task.refresh_from_db()
    assert (task.status, task.updated_at, history(task)) == (SUCCEEDED, NOW, [])


# --- What is deleted -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [CONFIRM, QUEUED, NOTIFIED, IN_PROGRESS])
def test_the_device_is_deleted_and_its_unfinished_tasks_become_canceled(
    device: Device, package: UpdatePackage, status: TaskStatus
) -> None:
    """The device is deleted → its unfinished tasks become CANCELED `DEVICE_DELETED`."""
    batch = make_batch(package)
    task = make_task(batch, device, status)
    assert delete_device(device=device.public_id, actor=OPERATOR, now=NOW) == 1
    task.refresh_from_db()
    assert (task.status, task.reason, task.ended_at) == (CANCELED, Reason.DEVICE_DELETED, NOW)
    assert not Device.objects.exists()
    assert_counters_are_true()


def test_history_keeps_the_name_of_a_deleted_device(device: Device, package: UpdatePackage) -> None:
    """[The device is deleted:] history keeps its name."""
    batch = make_batch(package)
    ended, open_task = make_task(batch, device, SUCCEEDED), make_task(make_batch(package), device, NOTIFIED)
    delete_device(device=device.public_id, actor=OPERATOR, now=NOW)
    kept = Task.objects.filter(device=None, device_name=device.name)
    assert set(kept.values_list("pk", flat=True)) == {ended.pk, open_task.pk}
    assert history(open_task) == [(EventKind.ENDED, CANCELED)]
    results = reupgrade_tasks(tasks=[open_task.public_id], actor=OPERATOR, now=NOW)
    assert results[0].code == "device_deleted"


def test_a_package_with_an_unfinished_batch_cannot_be_deleted(device: Device, package: UpdatePackage) -> None:
    """A package with an unfinished batch cannot be deleted."""
    make_task(make_batch(package), device)
    with pytest.raises(Conflict) as refused:
        delete_package(package=package.public_id, actor=OPERATOR, now=NOW)
    assert refused.value.code == "package_in_use"
    assert UpdatePackage.objects.exists()


def test_a_product_with_devices_cannot_either(device: Device, product: Product) -> None:
    """A product with devices cannot [be deleted] either."""
    with pytest.raises(Conflict) as refused:
        delete_product(product=product.product_key, actor=OPERATOR, now=NOW)
    assert refused.value.code == "product_in_use"
    assert product.modules.exists()


# --- NeedPush and pulls ----------------------------------------------------------------------------------------------


def test_with_need_push_off_the_task_stays_to_be_pushed_until_the_device_pulls(
    device: Device, package: UpdatePackage
) -> None:
    """NeedPush off: the task stays To Be Pushed until the device pulls."""
    batch = launch(package, NOW, needs_push=False)
    assert push(batch, at=NOW + minutes(60)) == []
    said(version(device, "1.0"), at=NOW + minutes(60))
    assert (statuses(batch), counts(batch)) == ([QUEUED], {"queued": 1})


def test_with_need_push_off_the_pull_makes_it_pushed(device: Device, package: UpdatePackage) -> None:
    """NeedPush off: … the pull makes it Pushed."""
    batch = launch(package, NOW, needs_push=False)
    ((_, answer),) = said(pull(device), at=NOW + minutes(1)).replies
    assert orjson.loads(answer)["data"]["version"] == "2.0"
    assert (statuses(batch), counts(batch)) == ([NOTIFIED], {"notified": 1, "ever_notified": 1})
    assert history(task_of(batch, device)) == [(EventKind.PULLED, NOTIFIED)]


def test_with_need_push_off_a_retry_waits_for_the_device_to_pull_again(device: Device, package: UpdatePackage) -> None:
    """NeedPush off: … until the device pulls; §2: each retry counts, and the last failure ends the task."""
    policy: dict[str, Any] = {"source_versions": ("1.0",), "retry_count": 1, "retry_interval_minutes": 10}
    batch = launch(package, NOW, needs_push=False, **policy)
    said(pull(device), progress(device, -2))
    assert counts(batch) == {"notified": 1, "ever_notified": 1}
    assert push(batch, at=NOW + minutes(20)) == []
    said(pull(device), progress(device, -2), at=NOW + minutes(9))
    task = task_of(batch, device)
    assert (task.status, task.is_retry_pending, task.push_no) == (NOTIFIED, True, 1)
    said(pull(device), at=NOW + minutes(10))
    task.refresh_from_db()
    assert (task.status, task.is_retry_pending, task.push_no, task.attempt) == (NOTIFIED, False, 2, 1)
    said(progress(device, -2), at=NOW + minutes(11))
    task.refresh_from_db()
    assert (task.status, task.reason) == (FAILED, Reason.DOWNLOAD_FAILED)
    assert_counters_are_true()


def assert_pull_is_empty(device: Device, at: datetime = NOW) -> None:
    before = Task.objects.values().get()
    ((_, answer),) = said(pull(device), at=at).replies
    assert orjson.loads(answer)["data"] == {}
    assert Task.objects.values().get() == before


def test_a_pull_in_confirm_is_answered_with_empty_data(device: Device, package: UpdatePackage) -> None:
    """A pull in CONFIRM … is answered with empty data."""
    launch(package, NOW, needs_confirm=True)
    assert_pull_is_empty(device)


def test_a_pull_before_the_scheduled_start_is_answered_with_empty_data(device: Device, package: UpdatePackage) -> None:
    """A pull … before the scheduled start … is answered with empty data."""
    launch(package, NOW, schedule_at=NOW + minutes(10))
    assert_pull_is_empty(device, NOW + minutes(9))


@pytest.mark.parametrize("status", [QUEUED, NOTIFIED])
def test_a_pull_in_queued_of_a_paused_batch_is_answered_with_empty_data(
    device: Device, package: UpdatePackage, status: TaskStatus
) -> None:
    """A pull … in QUEUED of a paused batch is answered with empty data; §3: nothing is sent to NOTIFIED ones either."""
    batch = make_batch(package)
    make_task(batch, device, status)
    pause_batch(batch=batch.public_id, actor=OPERATOR, now=NOW)
    assert_pull_is_empty(device)


def test_a_pull_of_an_upgrading_device_in_a_paused_batch_is_answered(device: Device, package: UpdatePackage) -> None:
    """rules.md §3: IN_PROGRESS ones go on, retries and pulls included."""
    batch = make_batch(package)
    make_task(batch, device, IN_PROGRESS)
    pause_batch(batch=batch.public_id, actor=OPERATOR, now=NOW)
    ((_, answer),) = said(pull(device)).replies
    assert orjson.loads(answer)["data"]["version"] == "2.0"


@pytest.mark.parametrize("status", [QUEUED, NOTIFIED, IN_PROGRESS])
def test_a_pull_of_a_task_that_is_being_canceled_is_answered_with_empty_data(
    device: Device, package: UpdatePackage, status: TaskStatus
) -> None:
    """rules.md §3: what was asked is obeyed before the slices have reached the task."""
    batch = make_batch(package)
    make_task(batch, device, status)
    cancel_tasks_by_state(batch=batch.public_id, states=[status], actor=OPERATOR, now=NOW)
    assert_pull_is_empty(device)


# --- What is edited --------------------------------------------------------------------------------------------------


def test_a_changed_timeout_holds_for_tasks_created_afterwards(
    product: Product, device: Device, package: UpdatePackage
) -> None:
    """A changed time-out holds for tasks created afterwards."""
    later = make_device(product, version="0.9")
    batch = launch(package, NOW, selection=DYNAMIC, source_versions=("1.0",), timeout_minutes=60)
    edit_batch(batch=batch.public_id, edit=BatchEdit(timeout_minutes=5), actor=OPERATOR, now=NOW)
    said(version(later, "1.0"), at=NOW + minutes(1))
    match(NOW + minutes(1))
    push_and_record(batch, at=NOW + minutes(1))
    said(progress(device, 1), progress(later, 1), at=NOW + minutes(2))
    assert task_of(batch, device).deadline_at == NOW + minutes(62)
    assert task_of(batch, later).deadline_at == NOW + minutes(7)


def test_changed_source_versions_of_a_dynamic_batch_hold_for_matches_afterwards(
    product: Product, device: Device, package: UpdatePackage
) -> None:
    """Changed source versions of a dynamic batch hold for matches afterwards."""
    other, old = make_device(product, version="0.9"), make_device(product, version="0.9")
    batch = launch(package, NOW, selection=DYNAMIC, source_versions=("1.0",))
    edit_batch(batch=batch.public_id, edit=BatchEdit(source_versions=["1.1"]), actor=OPERATOR, now=NOW)
    said(version(other, "1.1"), version(old, "1.0"), at=NOW + minutes(1))
    match(NOW + minutes(1))
    assert push_and_record(batch, at=NOW + minutes(2)) == 2
    assert {task.device for task in Task.objects.filter(batch=batch, status=NOTIFIED)} == {device, other}


def test_a_changed_rate_holds_from_the_next_slot(product: Product, package: UpdatePackage) -> None:
    """A changed rate holds from the next slot."""
    make_devices(product, 40)
    batch = launch(package, NOW, rate=Rate(6))
    assert len(push(batch)) == 1
    edit_batch(batch=batch.public_id, edit=BatchEdit(rate=Rate(600)), actor=OPERATOR, now=NOW + minutes(0.01))
    pushed = sum(len(push(batch, at=NOW + timedelta(seconds=1 + tick / 4))) for tick in range(8))
    assert 18 <= pushed <= 21


# --- Confirm and re-upgrade ------------------------------------------------------------------------------------------


def test_confirm_in_the_wrong_state_is_refused_with_the_reason_per_task(
    product: Product, package: UpdatePackage
) -> None:
    """Confirm … in the wrong state [is] refused with the reason, per task, never half done silently."""
    batch = make_batch(package, needs_confirm=True)
    tasks = [make_task(batch, make_device(product), status) for status in (CONFIRM, NOTIFIED, SUCCEEDED)]
    results = confirm_tasks(tasks=[*[t.public_id for t in tasks], "nobody"], actor=OPERATOR, now=NOW)
    wrong = "not_waiting_for_confirmation"
    assert [(r.is_done, r.code) for r in results] == [
        (True, ""),
        (False, wrong),
        (False, wrong),
        (False, "unknown_task"),
    ]
    assert all(r.message for r in results[1:])
    assert statuses(batch) == [QUEUED, NOTIFIED, SUCCEEDED]
    assert_counters_are_true()


def test_confirm_outside_the_schedule_is_refused_with_the_reason(device: Device, package: UpdatePackage) -> None:
    """rules.md §2: confirm (only within [start, finish), by the clock)."""
    batch = start(package, NOW, needs_confirm=True, schedule_at=NOW + minutes(10), finish_at=NOW + minutes(90))
    task = make_task(batch, device, CONFIRM)
    times = {-1.0: "before_schedule", 10.0: "", 90.0: "after_finish"}
    for after, code in sorted(times.items(), key=lambda item: bool(not item[1])):
        (result,) = confirm_tasks(tasks=[task.public_id], actor=OPERATOR, now=NOW + minutes(after))
        assert result.code == code


def test_reupgrade_in_the_wrong_state_is_refused_with_the_reason_per_task(
    product: Product, package: UpdatePackage
) -> None:
    """… re-upgrade in the wrong state [is] refused with the reason, per task, never half done silently."""
    batch = make_batch(package)
    states = (FAILED, CANCELED, SUCCEEDED, NOTIFIED)
    tasks = [make_task(batch, make_device(product), status, reason=Reason.TIMEOUT) for status in states]
    results = reupgrade_tasks(tasks=[t.public_id for t in tasks], actor=OPERATOR, now=NOW)
    assert [(r.is_done, r.code) for r in results] == [
        (True, ""),
        (True, ""),
        (False, "already_updated"),
        (False, "not_ended"),
    ]
    assert statuses(batch) == [QUEUED, QUEUED, SUCCEEDED, NOTIFIED]
    assert_counters_are_true()


def test_reupgrade_in_a_canceled_batch_is_refused(device: Device, package: UpdatePackage) -> None:
    """rules.md §3: in a CANCELED batch it is refused."""
    task = make_task(make_batch(package, status=BatchStatus.CANCELED), device, CANCELED)
    (result,) = reupgrade_tasks(tasks=[task.public_id], actor=OPERATOR, now=NOW)
    assert (result.is_done, result.code) == (False, "batch_canceled")


def test_reupgrade_is_refused_while_another_unfinished_task_holds_the_devices_lane(
    device: Device, package: UpdatePackage
) -> None:
    """Re-upgrade is refused while another unfinished task holds the device's lane."""
    failed = make_task(make_batch(package), device, FAILED, reason=Reason.TIMEOUT)
    holder = make_task(make_batch(make_package(device.product, version="3.0")), device, QUEUED)
    (result,) = reupgrade_tasks(tasks=[failed.public_id], actor=OPERATOR, now=NOW)
    assert (result.is_done, result.code) == (False, "lane_held")
    cancel_tasks(tasks=[holder.public_id], actor=OPERATOR, now=NOW)
    (result,) = reupgrade_tasks(tasks=[failed.public_id], actor=OPERATOR, now=NOW)
    assert result.is_done
    assert_counters_are_true()


# --- Afterwards ------------------------------------------------------------------------------------------------------


def test_success_followed_by_a_report_of_an_older_version_stays_updated_and_shows_rolled_back_since(
    device: Device, package: UpdatePackage
) -> None:
    """Success followed by a report of an older version: the task stays Updated; device and batch show it."""
    batch = launch(package, NOW)
    push_and_record(batch)
    said(version(device, "2.0"), at=NOW + minutes(1))
    said(version(device, "1.0"), at=NOW + minutes(2))
    task = task_of(batch, device)
    assert (task.status, task.rolled_back_at) == (SUCCEEDED, NOW + minutes(2))
    assert counts(batch) == {"succeeded": 1, "rolled_back": 1, "ever_notified": 1}
    assert history(task)[-1] == (EventKind.ROLLED_BACK, SUCCEEDED)
    assert_counters_are_true()


def test_a_newer_version_after_success_is_no_rollback(device: Device, package: UpdatePackage) -> None:
    """… of an *older* version."""
    batch = launch(package, NOW)
    push_and_record(batch)
    said(version(device, "2.0"), version(device, "2.1"), at=NOW + minutes(1))
    assert task_of(batch, device).rolled_back_at is None


def test_progress_never_moves_backwards_on_screen_within_an_attempt(device: Device, package: UpdatePackage) -> None:
    """Progress never moves backwards on screen within an attempt."""
    task = make_task(make_batch(package), device, NOTIFIED)
    shown = []
    for step in (0, 40, 10, 39, 41, 100, 99):
        said(progress(device, step))
        task.refresh_from_db()
        shown.append(task.progress)
    assert shown == [0, 40, 40, 40, 41, 100, 100]


def test_a_new_attempt_starts_its_progress_anew(device: Device, package: UpdatePackage) -> None:
    """… within an *attempt*."""
    batch = make_batch(package, retry_interval_minutes=0, retry_count=2)
    task = make_task(batch, device, IN_PROGRESS)
    said(progress(device, 80), progress(device, -1), at=NOW + minutes(1))
    push_and_record(batch, at=NOW + minutes(1))
    said(progress(device, 5), at=NOW + minutes(2))
    task.refresh_from_db()
    assert (task.progress, task.attempt, task.status) == (5, 1, IN_PROGRESS)


def test_history_has_one_row_per_change_and_per_quarter_of_progress(device: Device, package: UpdatePackage) -> None:
    """History: one row per change of state, push, pull, retry, failure, version report, and per 25 % of progress."""
    batch = launch(package, NOW, source_versions=("1.0",), retry_interval_minutes=0, retry_count=1)
    push_and_record(batch)
    said(pull(device), at=NOW + minutes(1))
    said(*[progress(device, step) for step in range(0, 60, 3)], at=NOW + minutes(2))
    said(progress(device, -2, "reset by peer"), at=NOW + minutes(3))
    record(push(batch, at=NOW + minutes(3)), at=NOW + minutes(3))
    said(*[progress(device, step) for step in (0, 100)], version(device, "2.0"), at=NOW + minutes(4))
    assert history(task_of(batch, device)) == [
        (EventKind.PUSHED, NOTIFIED),
        (EventKind.PULLED, NOTIFIED),
        (EventKind.PROGRESS, IN_PROGRESS),  # 0
        (EventKind.PROGRESS, IN_PROGRESS),  # 27
        (EventKind.PROGRESS, IN_PROGRESS),  # 51
        (EventKind.FAILURE, IN_PROGRESS),
        (EventKind.RETRY, IN_PROGRESS),
        (EventKind.PUSHED, IN_PROGRESS),
        (EventKind.PROGRESS, IN_PROGRESS),  # 0
        (EventKind.PROGRESS, IN_PROGRESS),  # 100
        (EventKind.VERSION, SUCCEEDED),
    ]


def test_the_end_by_a_cancel_of_many_is_told_though_no_row_is_stored(device: Device, package: UpdatePackage) -> None:
    """History: one row per change of state: made when it is shown (decision 0009; more in `test_api_tasks`)."""
    batch = launch(package, NOW)
    task = task_of(batch, device)
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=NOW)
    carry_out_cancel(batch, NOW + minutes(1))
    assert history(task) == []
    (line,) = getattr(api_rows.task(task.public_id), "lines")  # noqa: B009 a prefetched attribute
    assert (line.at, line.kind, line.status) == (NOW + minutes(1), EventKind.ENDED, CANCELED)
    assert line.detail == {"reason": Reason.BATCH_CANCELED, "actor": "operator"}


def test_a_version_report_that_changes_nothing_of_the_task_has_a_row_too(
    device: Device, package: UpdatePackage
) -> None:
    """History: one row per … version report."""
    batch = launch(package, NOW)
    push_and_record(batch)
    said(version(device, "1.4"), at=NOW + minutes(1))
    line = TaskEvent.objects.latest("id")
    assert (line.kind, line.status, line.detail) == (EventKind.VERSION, NOTIFIED, {"version": "1.4"})


def test_the_latest_progress_and_text_are_on_the_task_itself(device: Device, package: UpdatePackage) -> None:
    """… the latest progress and text are on the task itself."""
    task = make_task(make_batch(package), device, IN_PROGRESS)
    said(progress(device, 26, "second quarter"), progress(device, 27, "block 812"), at=NOW + minutes(1))
    task.refresh_from_db()
    assert (task.progress, task.progress_text, task.progress_at) == (27, "block 812", NOW + minutes(1))
    assert history(task) == [(EventKind.PROGRESS, IN_PROGRESS)]


def test_mismatches_are_failures_with_a_row(device: Device, package: UpdatePackage) -> None:
    """History: one row per … failure."""
    task = make_task(make_batch(package), device, IN_PROGRESS)
    set_version(device, "1.0")
    said(version(device, "1.7"), at=NOW + minutes(1))
    assert history(task) == [(EventKind.FAILURE, FAILED)]
