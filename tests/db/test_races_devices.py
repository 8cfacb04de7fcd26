"""Races of what devices say, on PostgreSQL: whoever commits first, the end is right and counted right."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from batches_app.commands.cancel import cancel_batch
from batches_app.commands.delete_device import delete_device
from batches_app.commands.device_access import set_device_enabled
from batches_app.domain.states import (
    CANCELED,
    FAILED,
    IN_PROGRESS,
    NOTIFIED,
    QUEUED,
    SUCCEEDED,
    EventKind,
    Reason,
    TaskStatus,
)
from batches_app.engine import sweep
from batches_app.engine.cancel import cancel_once
from batches_app.engine.ingest import ingest
from batches_app.engine.steps import again
from batches_app.models import Task
from devices_app.models import Device, DropCount, Product
from devices_app.protocol import topics
from ota_console.core import leases
from ota_console.core.clock import FakeClock
from ota_console.gateway.journal import LEASE_NAME
from ota_console.gateway.session import Received
from ota_console.gateway.sink import Sink
from packages_app.models import UpdatePackage
from tests.campaign import OPERATOR, carry_out_cancel, launch
from tests.factories import (
    NOW,
    make_batch,
    make_device,
    make_devices,
    make_package,
    make_product,
    make_task,
)
from tests.play import (
    assert_counters_are_true,
    connected,
    disconnected,
    history,
    progress,
    push,
    record,
    said,
    task_of,
    version,
)
from tests.races import all_at_once, race

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

LATER = NOW + timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _counters_are_true_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    assert_counters_are_true()


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


# --- A fast failure against the record of its push --------------------------------------------------------------------


@pytest.mark.parametrize("code", [-1, -2, -3, -4])
def test_a_failure_that_overtakes_the_record_of_its_push_ends_the_task(
    device: Device, package: UpdatePackage, code: int
) -> None:
    """The record comes too late: it does not bring the failed task back."""
    batch = launch(package, NOW)
    tokens = push(batch)
    _, recorded = race(lambda: said(progress(device, code), at=LATER), lambda: record(tokens, at=LATER))
    task = task_of(batch, device)
    assert (recorded, task.status, task.reason) == (0, FAILED, code)


def test_a_failure_that_overtakes_the_record_keeps_its_retry(device: Device, package: UpdatePackage) -> None:
    """The record does not erase the retry that came meanwhile; the retry is pushed with the next number."""
    batch = launch(package, NOW, source_versions=("1.0",), retry_interval_minutes=0, retry_count=1)
    tokens = push(batch)
    _, recorded = race(lambda: said(progress(device, -2), at=LATER), lambda: record(tokens, at=LATER))
    task = task_of(batch, device)
    assert (recorded, task.is_retry_pending, task.attempt, task.due_at) == (0, True, 1, LATER)
    again_pushed = push(batch, at=LATER)
    assert [token.push_no for token in again_pushed] == [2]
    assert record(tokens, at=LATER) == 0
    assert record(again_pushed, at=LATER) == 1


def test_a_failure_that_waits_for_the_record_finds_the_task_pushed(device: Device, package: UpdatePackage) -> None:
    """The other order: Pushed, then failed, and the history says so."""
    batch = launch(package, NOW)
    tokens = push(batch)
    race(lambda: record(tokens, at=LATER), lambda: said(progress(device, -1), at=LATER))
    task = task_of(batch, device)
    assert history(task) == [(EventKind.PUSHED, NOTIFIED), (EventKind.FAILURE, FAILED)]


def test_progress_that_overtakes_the_record_stays_upgrading(device: Device, package: UpdatePackage) -> None:
    """A fast device: the record only adds its line."""
    batch = launch(package, NOW)
    tokens = push(batch)
    race(lambda: said(progress(device, 30), at=LATER), lambda: record(tokens, at=LATER))
    task = task_of(batch, device)
    assert (task.status, task.lease_until, task.due_at) == (IN_PROGRESS, None, None)
    assert history(task) == [(EventKind.PROGRESS, IN_PROGRESS), (EventKind.PUSHED, IN_PROGRESS)]


def test_a_version_that_overtakes_the_record_stays_updated(device: Device, package: UpdatePackage) -> None:
    """The fastest device of all."""
    batch = launch(package, NOW)
    tokens = push(batch)
    _, recorded = race(lambda: said(version(device, "2.0"), at=LATER), lambda: record(tokens, at=LATER))
    assert (recorded, task_of(batch, device).status) == (0, SUCCEEDED)


def test_a_connect_between_claim_and_record_is_not_forgotten(device: Device, package: UpdatePackage) -> None:
    """The push may have left before the device was there: it is pushed again, and counts as Pushed then."""
    batch = launch(package, NOW)
    tokens = push(batch)
    race(lambda: said(connected(device), at=LATER), lambda: record(tokens, at=LATER))
    task = task_of(batch, device)
    assert (task.status, task.due_at) == (QUEUED, LATER + timedelta(seconds=2))
    assert record(push(batch, at=LATER + timedelta(seconds=2)), at=LATER + timedelta(seconds=2)) == 1


# --- Take-over with a late disconnect ---------------------------------------------------------------------------------


@pytest.mark.parametrize("is_new_session_first", [True, False])
def test_a_take_over_with_a_late_disconnect_ends_online(
    device: Device, package: UpdatePackage, *, is_new_session_first: bool
) -> None:
    """Presence is keyed by the broker session: a stale disconnect after a take-over is ignored (rules.md §5)."""
    batch = launch(package, NOW)
    new = partial(said, connected(device, "new session"), at=LATER)
    late = partial(said, disconnected(device, device.session), at=LATER)
    race(*((new, late) if is_new_session_first else (late, new)))
    device.refresh_from_db()
    task = task_of(batch, device)
    assert (device.is_online, device.session, task.is_offline) == (True, "new session", False)
    assert task.due_at == LATER + timedelta(seconds=2)


# --- What else meets on one row ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_report_first", [True, False])
def test_a_deadline_and_the_target_version(device: Device, package: UpdatePackage, *, is_report_first: bool) -> None:
    """Whoever commits first decides; a version that lost the race is a late success."""
    batch = make_batch(package, timeout_minutes=1)
    task = make_task(batch, device, IN_PROGRESS, deadline_at=NOW)
    report = partial(said, version(device, "2.0"), at=LATER)
    timer = partial(sweep.end_deadlines, now=LATER)
    race(*((report, timer) if is_report_first else (timer, report)))
    task.refresh_from_db()
    if is_report_first:
        assert (task.status, task.late_success_at) == (SUCCEEDED, None)
    else:
        assert (task.status, task.reason, task.late_success_at) == (FAILED, Reason.TIMEOUT, LATER)


def test_two_claims_never_take_the_same_task(product: Product, package: UpdatePackage) -> None:
    """Claims of one batch follow one another, under its row's lock."""
    make_devices(product, 50)
    batch = launch(package, NOW)
    first, second = race(partial(push, batch, at=LATER, limit=30), partial(push, batch, at=LATER, limit=30))
    assert (len(first), len(second)) == (30, 20)
    assert not set(first) & set(second)


def test_a_deleted_device_and_its_report(device: Device, package: UpdatePackage) -> None:
    """A report that waits for the deletion finds nobody; the gateway drops it and goes on."""
    task = make_task(make_batch(package), device, IN_PROGRESS)
    clock = FakeClock(LATER)
    assert leases.acquire(LEASE_NAME, "gateway", 60, LATER)
    sink = Sink(apply=ingest, clock=clock, holder="gateway", stop=threading.Event())
    topic = topics.inform(device.product.product_key, device.name)
    message = Received(1, 1, 1, False, topic, b'{"id":1,"params":{"version":"2.0"}}')
    _, settled = race(
        lambda: delete_device(device=device.public_id, actor=OPERATOR, now=LATER), lambda: sink.settle([message])
    )
    task.refresh_from_db()
    assert (task.status, task.reason) == (CANCELED, Reason.DEVICE_DELETED)
    assert settled.acknowledged == [message]
    assert DropCount.objects.get().reason == "unknown_device"


@pytest.mark.parametrize("is_first", [True, False])
def test_a_device_that_connects_while_it_is_disabled_stays_out(
    device: Device, package: UpdatePackage, *, is_first: bool
) -> None:
    """Whoever commits first: it is offline, its update waits, and the broker is told."""
    Device.objects.filter(pk=device.pk).update(is_online=False)
    task = make_task(make_batch(package), device, is_offline=True, due_at=None)
    disable = partial(set_device_enabled, device=device.public_id, is_enabled=False, actor=OPERATOR, now=LATER)
    connect = partial(said, connected(device, "new"), at=LATER)
    if is_first:
        _, result = race(disable, connect)
        assert [topic for topic, _ in result.replies] == [topics.session_end(device.product.product_key, device.name)]
    else:
        race(connect, disable)
    task.refresh_from_db()
    device.refresh_from_db()
    assert (device.is_enabled, device.is_online, task.is_offline, task.due_at) == (False, False, True, None)


@pytest.mark.parametrize("status", [QUEUED, NOTIFIED])
def test_reports_of_many_devices_against_a_cancel_do_not_deadlock(
    product: Product, package: UpdatePackage, status: TaskStatus
) -> None:
    """Locks in one order: both run free over the same hundred rows, ten times."""
    devices = make_devices(product, 100)
    batch = make_batch(package)
    for device in devices:
        make_task(batch, device, status, push_no=1)
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=NOW)
    backwards = [progress(device, 1) for device in reversed(devices)]

    def cancel() -> None:
        while again(partial(cancel_once, batch_id=batch.pk, now=LATER, slice_size=10)):
            pass

    def report() -> None:
        for first in range(0, 100, 10):
            said(*backwards[first : first + 10], at=LATER)

    all_at_once(cancel, report, report)
    carry_out_cancel(batch, LATER)
    assert set(Task.objects.values_list("status", flat=True)) == {CANCELED}
