"""The push loop on the real database: claims, pace, records, leases."""

import threading
from collections.abc import Sequence
from datetime import timedelta

import orjson
import pytest

from batches_app.commands.cancel import cancel_batch
from batches_app.domain.states import (
    FAILED,
    IN_PROGRESS,
    LEASE,
    NOTIFIED,
    QUEUED,
    SUCCEEDED,
    BatchStatus,
    EventKind,
    Reason,
)
from batches_app.engine import dispatch, recorder
from batches_app.models import Batch, BatchCounts, BatchTag, Task, TaskEvent
from devices_app.models import Device, ModuleVersion
from devices_app.ports import PublisherUnavailable, PushToken
from ota_console.audit.actor import Actor
from ota_console.core.clock import FakeClock
from ota_console.core.db import database_now
from tests.campaign import launch
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
from tests.fakes import FakePublisher

pytestmark = pytest.mark.django_db
OPERATOR = Actor(None, "operator")


@pytest.fixture
def device() -> Device:
    return make_device(make_product())


@pytest.fixture
def batch(device: Device) -> Batch:
    return make_batch(make_package(device.product))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


class UntilIdle(threading.Event):
    """Ends the loop when it would wait for more to do."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


def push(batch: Batch, publisher: FakePublisher, clock: FakeClock, *, limit: int = 500) -> int:
    """Claim and publish, on a machine that takes no time for it; how many were pushed or settled."""
    done = dispatch.dispatch_once(
        batch_id=batch.pk, publisher=publisher, limit=limit, clock=clock, monotonic=lambda: 0.0
    )
    return sum(done)


def test_a_due_device_is_pushed_and_then_recorded(device: Device, batch: Batch, clock: FakeClock) -> None:
    """Claimed with a lease, published, Pushed only after the broker's acknowledgement."""
    BatchTag.objects.create(batch=batch, position=1, key="wave", value="3")
    task = make_task(batch, device)
    publisher = FakePublisher()
    assert push(batch, publisher, clock) == 1
    task.refresh_from_db()
    assert (task.status, task.push_no, task.lease_until) == (QUEUED, 1, NOW + LEASE)
    ((topic, payload, token),) = publisher.sent
    assert topic == f"/ota/device/upgrade/{device.product.product_key}/{device.name}"
    data = orjson.loads(payload)["data"]
    assert (data["version"], data["extData"]) == ("2.0", {"wave": "3"})
    assert recorder.record([token], clock=clock) == 1
    task.refresh_from_db()
    assert (task.status, task.due_at, task.lease_until, task.notified_at) == (NOTIFIED, None, None, NOW)
    assert TaskEvent.objects.get().kind == EventKind.PUSHED
    counts = BatchCounts.objects.get(pk=batch.pk)
    assert (counts.queued, counts.notified, counts.ever_notified) == (0, 1, 1)


def test_a_claim_that_nobody_records_is_pushed_again_with_a_new_number(
    device: Device, batch: Batch, clock: FakeClock
) -> None:
    """A killed worker's rows are pushed by another, after the lease."""
    task = make_task(batch, device)
    publisher = FakePublisher()
    push(batch, publisher, clock)
    assert push(batch, publisher, clock) == 0
    clock.advance(seconds=LEASE.total_seconds())
    assert push(batch, publisher, clock) == 1
    first, second = (token for _, _, token in publisher.sent)
    assert recorder.record([first], clock=clock) == 0
    assert recorder.record([second], clock=clock) == 1
    task.refresh_from_db()
    assert (task.status, task.push_no) == (NOTIFIED, 2)


def test_a_device_already_on_the_target_is_updated_without_a_push(
    device: Device, batch: Batch, clock: FakeClock
) -> None:
    """rules.md §7 "before a push"."""
    make_task(batch, device)
    set_version(device, "2.0")
    publisher = FakePublisher()
    push(batch, publisher, clock)
    assert publisher.sent == []
    assert Task.objects.get().status == SUCCEEDED


def test_a_device_that_left_the_source_versions_is_not_pushed(device: Device, clock: FakeClock) -> None:
    """FAILED with SOURCE_VERSION_CHANGED."""
    batch = make_batch(make_package(device.product), source_versions=["1.0"])
    make_task(batch, device)
    set_version(device, "1.7")
    publisher = FakePublisher()
    push(batch, publisher, clock)
    task = Task.objects.get()
    assert (publisher.sent, task.status, task.reason) == ([], FAILED, Reason.SOURCE_VERSION_CHANGED)


def test_a_canceled_batch_pushes_nothing_whichever_slice_has_reached_it(
    device: Device, batch: Batch, clock: FakeClock
) -> None:
    """Cancel is written on the batch row first and wins."""
    make_task(batch, device)
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=NOW)
    publisher = FakePublisher()
    push(batch, publisher, clock)
    assert publisher.sent == []


def test_a_canceled_task_is_not_revived_by_the_record_of_its_push(
    device: Device, batch: Batch, clock: FakeClock
) -> None:
    """The recorder writes only where its own token still stands."""
    task = make_task(batch, device)
    publisher = FakePublisher()
    push(batch, publisher, clock)
    Task.objects.filter(pk=task.pk).update(status=6, reason=10, due_at=None, lease_until=None, ended_at=NOW)
    assert recorder.record(publisher.take_acknowledged(), clock=clock) == 0
    task.refresh_from_db()
    assert task.status == 6


def test_a_paused_batch_pushes_only_upgrading_devices(device: Device, batch: Batch, clock: FakeClock) -> None:
    """rules.md §3: Upgrading ones go on, retries included."""
    Batch.objects.update(paused_at=NOW)
    make_task(batch, device)
    upgrading = make_task(batch, make_device(device.product), IN_PROGRESS, due_at=NOW)
    publisher = FakePublisher()
    push(batch, publisher, clock)
    assert [token.task_id for _, _, token in publisher.sent] == [upgrading.pk]


@pytest.mark.parametrize("values", [{"status": BatchStatus.PLANNED}, {"finish_at": NOW}])
def test_nothing_is_pushed_outside_the_schedule(device: Device, clock: FakeClock, values: dict[str, object]) -> None:
    """Before the start, or from the finish time on."""
    batch = make_batch(make_package(device.product), **values)
    make_task(batch, device)
    assert push(batch, FakePublisher(), clock) == 0


def test_a_constant_rate_is_never_exceeded_and_nearly_reached(device: Device, clock: FakeClock) -> None:
    """600 a minute: at most 600 in any sliding minute, within 1 % while devices are due."""
    batch = make_batch(make_package(device.product), rate_per_minute=600)
    for other in make_devices(device.product, 700):
        make_task(batch, other)
    publisher, sent_at = FakePublisher(), []
    for _ in range(4 * 65):
        sent_at += [clock()] * push(batch, publisher, clock)
        clock.advance(seconds=0.25)
    windows = [sum(start <= at < start + timedelta(minutes=1) for at in sent_at) for start in sent_at]
    assert max(windows) <= 600
    assert windows[0] >= 594


def test_a_variable_rate_follows_the_counts(device: Device, clock: FakeClock) -> None:
    """Base 60 a minute, doubled after every 10 notified devices, at most 240."""
    batch = make_batch(
        make_package(device.product),
        rate_kind=Batch.RateKind.VARIABLE,
        rate_per_minute=240,
        rate_base_per_minute=60,
        rate_factor=2,
        rate_notified_step=10,
    )
    for other in make_devices(device.product, 60):
        make_task(batch, other)
    publisher, per_ten_seconds = FakePublisher(), []
    for _ in range(3):
        pushed = 0
        for _ in range(40):
            pushed += push(batch, publisher, clock)
            recorder.record(publisher.take_acknowledged(), clock=clock)
            clock.advance(seconds=0.25)
        per_ten_seconds.append(pushed)
    assert per_ten_seconds[0] in (10, 11)
    assert per_ten_seconds[1] > 15
    assert sum(per_ten_seconds) == 60


def test_what_did_not_leave_in_time_is_given_back(batch: Batch, device: Device, clock: FakeClock) -> None:
    """Paced pushes leave within the publish deadline, counted from the claim, or are due again at once."""
    Batch.objects.update(rate_per_minute=100_000)
    task = make_task(batch, device)
    chunk = dispatch.claim(batch_id=batch.pk, clock=clock, monotonic=lambda: 0.0)
    late = dispatch.publish(chunk, FakePublisher(), monotonic=lambda: 1.0)
    assert dispatch.give_back(late) == 1
    task.refresh_from_db()
    assert (task.status, task.lease_until, task.due_at) == (QUEUED, None, NOW)


def test_a_broker_that_goes_away_loses_no_push(device: Device, batch: Batch, clock: FakeClock) -> None:
    """What it did not take is due again at once; what it took and never acknowledged waits for its lease."""
    for other in make_devices(device.product, 3):
        make_task(batch, other)
    with pytest.raises(PublisherUnavailable):
        push(batch, FakePublisher(capacity=1), clock)
    due_now = Task.objects.filter(due_at__lte=clock(), lease_until=None).count()
    assert due_now == 1
    clock.advance(seconds=LEASE.total_seconds())
    assert push(batch, FakePublisher(), clock) == 3


@pytest.mark.django_db(transaction=True)
def test_devices_that_need_no_push_do_not_hold_up_the_loop(device: Device) -> None:
    """Only what was published is waited for: no acknowledgement comes for the others."""
    make_devices(device.product, dispatch.MAX_UNRECORDED)
    launch(make_package(device.product), NOW)
    ModuleVersion.objects.update(version="2.0")
    pushed = dispatch.run(publisher=FakePublisher(), seconds=LEASE.total_seconds(), stop=UntilIdle())
    assert pushed == dispatch.MAX_UNRECORDED + 1


@pytest.mark.django_db(transaction=True)
def test_the_loop_pushes_and_records_everything_that_is_due(device: Device, batch: Batch) -> None:
    """Two threads: claims beside records."""
    for other in make_devices(device.product, 40):
        make_task(batch, other)
    assert dispatch.run(publisher=FakePublisher(), seconds=60, stop=UntilIdle()) == 40
    assert set(Task.objects.values_list("status", flat=True)) == {NOTIFIED}


@pytest.mark.django_db(transaction=True)
def test_what_the_broker_acknowledged_before_the_stop_is_recorded(batch: Batch, device: Device) -> None:
    """Also what came after the recorder's last look, else a device is pushed twice."""
    make_task(batch, device)
    publisher = FakePublisher()
    dispatch.dispatch_once(batch_id=batch.pk, publisher=publisher)

    class Late(FakePublisher):
        def take_acknowledged(self, *, timeout_seconds: float = 0.001) -> Sequence[PushToken]:
            if not late._stopping.is_set():
                late._stopping.set()
                return []
            return publisher.take_acknowledged()

    late = recorder.Recorder(Late(), database_now)
    late.run()
    assert set(Task.objects.values_list("status", flat=True)) == {NOTIFIED}


def test_a_chunk_costs_a_bounded_number_of_queries(
    django_assert_max_num_queries: object, device: Device, batch: Batch, clock: FakeClock
) -> None:
    """Whatever its size."""
    for other in make_devices(device.product, 50):
        make_task(batch, other)
    publisher = FakePublisher()
    with django_assert_max_num_queries(10):  # type: ignore[operator]  # pytest-django's fixture
        push(batch, publisher, clock)
    with django_assert_max_num_queries(14):  # type: ignore[operator]  # pytest-django's fixture
        recorder.record(publisher.take_acknowledged(), clock=clock)
