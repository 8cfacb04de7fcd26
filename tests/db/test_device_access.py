"""A device is disabled, its secret rotated, its session ended (rules.md §5)."""

from datetime import timedelta

import pytest
import redis

from batches_app.commands.confirm import reupgrade_tasks
from batches_app.commands.delete_device import delete_device
from batches_app.commands.device_access import set_device_enabled
from batches_app.domain.states import FAILED, IN_PROGRESS, NOTIFIED, QUEUED, TaskStatus
from batches_app.models import Batch, Task
from batches_app.selectors.downloads import package_of_live_task
from devices_app import ports, tasks
from devices_app.commands.devices import rotate_device_secret
from devices_app.models import Device, DropCount
from devices_app.ports import PublisherUnavailable
from devices_app.protocol import topics
from ota_console.core.errors import NotFound
from ota_console.outbox import events
from ota_console.outbox.models import OutboxMessage
from tests.campaign import DYNAMIC, OPERATOR, launch, match, start, write_tasks
from tests.db.test_jobs import QUEUE
from tests.db.test_jobs import queue as queue  # noqa: PLC0414 a fixture
from tests.factories import NOW, make_batch, make_device, make_package, make_product, make_task
from tests.play import (
    assert_counters_are_true,
    connected,
    counts,
    disconnected,
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
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def device() -> Device:
    """Online, on 1.0."""
    return make_device(make_product())


@pytest.fixture
def batch(device: Device) -> Batch:
    """To 2.0."""
    return make_batch(make_package(device.product))


def set_enabled(device: Device, *, is_enabled: bool) -> bool:
    return set_device_enabled(device=device.public_id, is_enabled=is_enabled, actor=OPERATOR, now=NOW)


def is_online(device: Device) -> bool:
    return Device.objects.get(pk=device.pk).is_online


@pytest.mark.parametrize("status", [QUEUED, NOTIFIED, IN_PROGRESS])
def test_the_updates_of_a_disabled_device_are_offline_and_not_due(
    device: Device, batch: Batch, status: TaskStatus
) -> None:
    """It is offline from the moment of the command, whatever the broker says."""
    task = make_task(batch, device, status, due_at=NOW)
    assert set_enabled(device, is_enabled=False)
    task.refresh_from_db()
    assert (task.status, task.is_offline, task.due_at, is_online(device)) == (status, True, None, False)
    assert push(batch, at=LATER) == []
    told = [event for message in OutboxMessage.objects.all() for event in message.events]
    assert events.presence_changed(device=device.public_id, is_online=False) in told
    assert_counters_are_true()


def test_a_device_that_is_disabled_twice_is_told_once(device: Device) -> None:
    """The second command changes nothing; nobody is a device that does not exist."""
    assert [set_enabled(device, is_enabled=value) for value in (False, False, True, True)] == [True, False, True, False]
    with pytest.raises(NotFound):
        set_device_enabled(device="x" * 26, is_enabled=False, actor=OPERATOR, now=NOW)


def test_a_push_on_its_way_counts_as_one_to_an_offline_device(device: Device, batch: Batch) -> None:
    """The broker took it before."""
    make_task(batch, device)
    tokens = push(batch)
    set_enabled(device, is_enabled=False)
    record(tokens)
    task = task_of(batch, device)
    assert (task.status, task.is_offline, task.due_at) == (NOTIFIED, True, None)


def test_nothing_that_a_disabled_device_says_sets_it_online(device: Device, batch: Batch) -> None:
    """A connect that was on its way, a take-over, a report: counted, and no more."""
    task = make_task(batch, device, NOTIFIED)
    set_enabled(device, is_enabled=False)
    said(connected(device, "new"), progress(device, 10), version(device, "2.0"), at=LATER)
    said(disconnected(device, "new"), connected(device, "newer"), pull(device), at=LATER)
    task.refresh_from_db()
    assert (task.status, task.is_offline, task.due_at, is_online(device)) == (NOTIFIED, True, None, False)
    assert DropCount.objects.get(reason="device_disabled").count == 3


def test_the_broker_is_told_to_end_the_session_of_a_disabled_device_that_connects(device: Device) -> None:
    """Its log-in may have been allowed in the moment before."""
    set_enabled(device, is_enabled=False)
    told = topics.session_end(device.product.product_key, device.name)
    assert said(connected(device), at=LATER).replies == [(told, b"")]
    assert said(disconnected(device), at=LATER).replies == []


@pytest.mark.parametrize("message", [connected, lambda device: version(device, "1.0")])
def test_an_enabled_device_is_restored_by_what_it_says_next(device: Device, batch: Batch, message: object) -> None:
    """Its connect, or any message."""
    make_task(batch, device)
    set_enabled(device, is_enabled=False)
    set_enabled(device, is_enabled=True)
    assert not is_online(device)
    assert push(batch, at=LATER) == []
    assert callable(message)
    said(message(device), at=LATER)
    assert is_online(device)
    assert push_and_record(batch, at=LATER + timedelta(seconds=2)) == 1


def test_a_launch_that_meets_a_disabled_device_treats_it_as_offline(device: Device, batch: Batch) -> None:
    """It is left out; one that is disabled once it has its update is offline."""
    other = make_device(device.product)
    rollout = start(batch.package, NOW)
    set_enabled(other, is_enabled=False)
    write_tasks(rollout, NOW)
    assert list(Task.objects.filter(batch=rollout).values_list("device", flat=True)) == [device.pk]
    set_enabled(device, is_enabled=False)
    assert counts(rollout) == {"queued": 1, "queued_offline": 1}


def test_a_download_link_of_a_disabled_device_is_dead(device: Device, batch: Batch) -> None:
    """It lives again with the device."""
    task = make_task(batch, device, NOTIFIED)
    assert package_of_live_task(task.public_id) == batch.package_id
    set_enabled(device, is_enabled=False)
    assert package_of_live_task(task.public_id) is None
    set_enabled(device, is_enabled=True)
    assert package_of_live_task(task.public_id) == batch.package_id


def test_a_reupgrade_of_a_disabled_device_waits_for_it(device: Device, batch: Batch) -> None:
    """To Be Pushed (Device Offline)."""
    task = make_task(batch, device, FAILED)
    set_enabled(device, is_enabled=False)
    reupgrade_tasks(tasks=[task.public_id], actor=OPERATOR, now=NOW)
    assert counts(batch) == {"queued": 1, "queued_offline": 1}
    assert push(batch, at=LATER) == []


def test_an_enabled_device_is_looked_at_by_running_dynamic_batches(device: Device, batch: Batch) -> None:
    """They left it out while it was disabled."""
    set_enabled(device, is_enabled=False)
    policy = launch(batch.package, NOW, selection=DYNAMIC, source_versions=("1.0",))
    match(NOW)
    assert counts(policy) == {}
    set_enabled(device, is_enabled=True)
    match(NOW)
    assert counts(policy) == {"queued": 1, "queued_offline": 1}


@pytest.mark.django_db(transaction=True)
def test_the_broker_is_told_once_the_change_is_committed(device: Device, queue: redis.Redis) -> None:
    """Disable, another secret, delete: each ends the session."""
    set_enabled(device, is_enabled=False)
    assert queue.llen(QUEUE) == 1
    set_enabled(device, is_enabled=True)
    assert queue.llen(QUEUE) == 1
    rotate_device_secret(device=device.public_id, actor=OPERATOR, now=NOW)
    assert queue.llen(QUEUE) == 2
    delete_device(device=device.public_id, actor=OPERATOR, now=NOW)
    assert queue.llen(QUEUE) == 3


def test_the_workers_task_asks_the_wired_broker() -> None:
    """A broker that is away has no session to end."""
    told: list[tuple[str, str]] = []

    def away(_product_key: str, _device_name: str) -> None:
        raise PublisherUnavailable("It is away.")

    try:
        ports.wire_session_ender(lambda *names: told.append(names))
        tasks.end_session("k1product", "meter-1")
        ports.wire_session_ender(away)
        tasks.end_session("k1product", "meter-1")
    finally:
        ports.wire_session_ender(None)
    assert told == [("k1product", "meter-1")]
