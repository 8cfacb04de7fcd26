"""Races of launches, on PostgreSQL: whoever commits first, the end is right and counted right."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from batches_app.commands.confirm import reupgrade_tasks
from batches_app.domain.states import (
    CANCELED,
    FAILED,
    IN_PROGRESS,
    NOTIFIED,
    QUEUED,
    SUCCEEDED,
    Reason,
)
from batches_app.engine.ingest import IngestResult
from batches_app.engine.launch import launch_once
from batches_app.engine.steps import again
from batches_app.models import Batch, Task
from devices_app.models import Device, Product
from packages_app.models import UpdatePackage
from tests.campaign import OPERATOR, OVERWRITE, start
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
    progress,
    push,
    said,
    task_of,
    version,
)
from tests.races import Side, all_at_once, assert_one_lane_each, counters_locked, race, writes_slices

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


# --- Connect against launch -------------------------------------------------------------------------------------------


def come_online(device: Device) -> IngestResult:
    return said(connected(device), at=LATER)


def test_a_device_that_connects_while_the_launch_writes_its_task_is_pushed(
    product: Product, package: UpdatePackage
) -> None:
    """The launch saw it offline; the connect waits for the launch and finds the task."""
    device = make_device(product, is_online=False)
    batch = start(package, NOW)
    launch_once(batch_id=batch.pk, now=NOW)
    with counters_locked(batch):
        launching = Side(writes_slices(batch))
        launching.wait_until_blocked()
        connecting = Side(partial(come_online, device))
        connecting.wait_until_blocked()
    launching.finish()
    connecting.finish()
    task = task_of(batch, device)
    assert (task.is_offline, task.due_at) == (False, LATER + timedelta(seconds=2))


def test_a_launch_that_waits_for_a_connect_finds_the_device_online(product: Product, package: UpdatePackage) -> None:
    """The other order."""
    device = make_device(product, is_online=False)
    batch = start(package, NOW)
    launch_once(batch_id=batch.pk, now=NOW)
    race(partial(come_online, device), writes_slices(batch))
    task = task_of(batch, device)
    assert (task.is_offline, task.due_at) == (False, NOW)


def test_a_disconnect_and_a_launch(device: Device, package: UpdatePackage) -> None:
    """A task of a device that went while it was written waits for its return."""
    batch = start(package, NOW)
    launch_once(batch_id=batch.pk, now=NOW)
    with counters_locked(batch):
        launching = Side(writes_slices(batch))
        launching.wait_until_blocked()
        going = Side(lambda: said(disconnected(device, device.session), at=LATER))
        going.wait_until_blocked()
    launching.finish()
    going.finish()
    task = task_of(batch, device)
    assert (task.is_offline, task.due_at) == (True, None)


@pytest.mark.parametrize("reported", ["2.0", "1.7"])
def test_a_version_report_and_a_launch(device: Device, package: UpdatePackage, reported: str) -> None:
    """A device that reports while its task is written is judged by what it reported."""
    batch = start(package, NOW, source_versions=("1.0",))
    launch_once(batch_id=batch.pk, now=NOW)
    with counters_locked(batch):
        launching = Side(writes_slices(batch))
        launching.wait_until_blocked()
        reporting = Side(lambda: said(version(device, reported), at=LATER))
        reporting.wait_until_blocked()
    launching.finish()
    reporting.finish()
    assert push(batch, at=LATER) == []
    task = task_of(batch, device)
    assert task.status == (SUCCEEDED if reported == "2.0" else FAILED)


def test_a_launch_that_waits_for_a_version_report_leaves_the_device_out(
    product: Product, device: Device, package: UpdatePackage
) -> None:
    """The other order: it is on the target by then."""
    other = make_device(product)
    batch = start(package, NOW)
    launch_once(batch_id=batch.pk, now=NOW)
    race(lambda: said(version(device, "2.0"), at=LATER), writes_slices(batch))
    assert [task.device for task in Task.objects.filter(batch=batch)] == [other]


# --- Overwrite against first progress ---------------------------------------------------------------------------------


def test_progress_that_comes_first_saves_its_task_from_the_overwrite(
    product: Product, device: Device, package: UpdatePackage
) -> None:
    """An update task cannot be overwritten if the device is in the Upgrading state (seed)."""
    older = make_task(make_batch(make_package(product, version="1.5")), device, NOTIFIED)
    batch = start(package, NOW, busy_policy=OVERWRITE)
    launch_once(batch_id=batch.pk, now=NOW)
    race(lambda: said(progress(device, 1), at=LATER), writes_slices(batch))
    older.refresh_from_db()
    newer = task_of(batch, device)
    assert (older.status, newer.status, newer.reason, newer.blocker) == (IN_PROGRESS, FAILED, Reason.CONFLICT, older)


def test_an_overwrite_that_comes_first_leaves_progress_without_effect(
    product: Product, device: Device, package: UpdatePackage
) -> None:
    """A late message of an older, canceled task cannot move a new one that was never pushed (rules.md §2)."""
    older = make_task(make_batch(make_package(product, version="1.5")), device, NOTIFIED)
    batch = start(package, NOW, busy_policy=OVERWRITE)
    launch_once(batch_id=batch.pk, now=NOW)
    with counters_locked(batch):
        launching = Side(writes_slices(batch))
        launching.wait_until_blocked()
        reporting = Side(lambda: said(progress(device, 1), at=LATER))
        reporting.wait_until_blocked()
    launching.finish()
    reporting.finish()
    older.refresh_from_db()
    newer = task_of(batch, device)
    assert (older.status, older.reason) == (CANCELED, Reason.OVERWRITTEN)
    assert (newer.status, newer.progress) == (QUEUED, None)


# --- Two launches over the same devices -------------------------------------------------------------------------------


def test_of_two_launches_over_the_same_devices_each_device_follows_one(
    product: Product, package: UpdatePackage
) -> None:
    """Both run free, in small slices: no device has two unfinished tasks, each has one, each loser says who won."""
    make_devices(product, 60)
    batches = [start(package, NOW), start(make_package(product, version="3.0"), NOW)]
    for batch in batches:
        launch_once(batch_id=batch.pk, now=NOW)

    def slices(batch: Batch) -> None:
        while again(partial(launch_once, batch_id=batch.pk, now=NOW, slice_size=7)):
            pass

    all_at_once(*[partial(slices, batch) for batch in (*batches, *batches)])
    assert_one_lane_each(60)


def test_a_launch_and_a_reupgrade_share_no_lane(product: Product, device: Device, package: UpdatePackage) -> None:
    """Re-upgrade is refused while another unfinished task holds the lane; it waits for a launch to tell."""
    failed = make_task(make_batch(make_package(product, version="1.5")), device, FAILED)
    batch = start(package, NOW)
    launch_once(batch_id=batch.pk, now=NOW)
    with counters_locked(batch):
        launching = Side(writes_slices(batch))
        launching.wait_until_blocked()
        starting = Side(lambda: reupgrade_tasks(tasks=[failed.public_id], actor=OPERATOR, now=LATER))
        starting.wait_until_blocked()
    launching.finish()
    assert starting.finish()[0].code == "lane_held"
    assert task_of(batch, device).status == QUEUED
