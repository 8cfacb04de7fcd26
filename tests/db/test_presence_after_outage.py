"""The broker was away and may have lost what it knew, pushes that it had acknowledged included (rules.md §5)."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from batches_app.domain.states import CONFIRM, FRESH_PROGRESS, IN_PROGRESS, NOTIFIED
from batches_app.engine.ingest import ingest
from batches_app.engine.silence import ask_silent_devices
from batches_app.models import Task
from devices_app import presence
from devices_app.models import Device
from devices_app.protocol import topics
from devices_app.protocol.payloads import Inbound
from ota_console.core import leases
from ota_console.core.clock import FakeClock
from ota_console.gateway.journal import LEASE_NAME
from ota_console.gateway.session import Received
from ota_console.gateway.sink import Sink
from tests.factories import NOW, make_batch, make_device, make_package, make_product, make_task
from tests.play import connected, disconnected, said, version

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(seconds=1)
GRACE = timedelta(seconds=2)


@pytest.fixture
def task() -> Task:
    """Pushed, and nothing was heard since."""
    device = make_device(make_product(), presence_at=NOW)
    return make_task(make_batch(make_package(device.product)), device, NOTIFIED)


@pytest.fixture
def device(task: Task) -> Device:
    assert task.device is not None
    return task.device


def due_at(task: Task) -> object:
    task.refresh_from_db()
    return task.due_at


def test_a_device_that_speaks_after_the_outage_is_pushed_again(task: Task, device: Device) -> None:
    """As after a connect: its push may have been lost."""
    presence.doubt_sessions(NOW)
    assert due_at(task) is None
    said(version(device, "1.0"), at=LATER)
    assert due_at(task) == LATER + GRACE


def test_only_its_first_message_counts_as_a_connect(task: Task, device: Device) -> None:
    """Later ones do not put the push off."""
    presence.doubt_sessions(NOW)
    said(version(device, "1.0"), at=LATER)
    said(version(device, "1.0"), at=LATER + GRACE)
    assert due_at(task) == LATER + GRACE


def test_a_device_stays_online_meanwhile(task: Task, device: Device) -> None:
    """Nobody saw it go."""
    presence.doubt_sessions(NOW)
    device.refresh_from_db()
    assert (device.is_online, device.presence_at) == (True, NOW)


def test_an_offline_device_is_not_touched(task: Task, device: Device) -> None:
    """It connects as ever."""
    said(disconnected(device, device.session))
    presence.doubt_sessions(NOW)
    device.refresh_from_db()
    assert not device.is_online
    said(connected(device), at=LATER)
    assert due_at(task) == LATER + GRACE


@pytest.mark.parametrize("has_spoken", [False, True])
def test_a_disconnect_counts_where_the_session_is_not_known(task: Task, device: Device, *, has_spoken: bool) -> None:
    """A broker that was not lost tells of the session that it had before."""
    presence.doubt_sessions(NOW)
    if has_spoken:
        said(version(device, "1.0"), at=LATER)
    said(disconnected(device, device.session), at=LATER)
    device.refresh_from_db()
    assert not device.is_online


def test_the_gateway_doubts_once_a_connection(task: Task, device: Device) -> None:
    """Before the first message of a connection that it could not resume."""
    assert leases.acquire(LEASE_NAME, "gateway", 60, LATER)
    sink = Sink(apply=ingest, clock=FakeClock(LATER), holder="gateway", stop=threading.Event())
    topic = topics.inform(device.product.product_key, device.name)
    message = Received(1, 1, 1, False, topic, b'{"id":1,"params":{"version":"1.0"}}')
    sink.settle([message], is_presence_doubtful=True)
    assert due_at(task) == LATER + GRACE
    Task.objects.update(due_at=None)
    sink.settle([message._replace(mid=2)], is_presence_doubtful=True)
    assert due_at(task) is None
    sink.settle([message._replace(mid=3, connection=2)])
    assert due_at(task) is None


# --- Devices that stay silent: their last report may have been lost with the broker -----------------------------------

ASKED_AT = NOW + presence.ASK_AFTER


def ask(*, at: datetime) -> None:
    while ask_silent_devices(now=at):
        pass


def test_a_device_that_stays_silent_is_pushed_again(task: Task) -> None:
    """It may have finished meanwhile: it answers with its version (interop: nothing may stay stuck by it)."""
    presence.doubt_sessions(NOW)
    ask(at=ASKED_AT - timedelta(seconds=1))
    assert due_at(task) is None
    ask(at=ASKED_AT)
    assert due_at(task) == ASKED_AT + GRACE


def test_a_silent_device_is_pushed_again_once_an_outage(task: Task) -> None:
    """One that ignores pushes must not take a slot of the pace for ever."""
    presence.doubt_sessions(NOW)
    ask(at=ASKED_AT)
    Task.objects.update(due_at=None)
    ask(at=ASKED_AT + timedelta(hours=1))
    assert due_at(task) is None
    presence.doubt_sessions(NOW + timedelta(hours=2))
    ask(at=NOW + timedelta(hours=3))
    assert due_at(task) is not None


def test_a_device_that_was_asked_and_then_speaks_counts_as_connected(task: Task, device: Device) -> None:
    """The push that asked may have found nobody."""
    presence.doubt_sessions(NOW)
    ask(at=ASKED_AT)
    Task.objects.update(due_at=None)
    later = ASKED_AT + timedelta(minutes=5)
    said(version(device, "1.0"), at=later)
    assert due_at(task) == later + GRACE


@pytest.mark.parametrize("speak", [lambda d: version(d, "1.0"), connected, lambda d: disconnected(d, d.session)])
def test_who_was_heard_of_since_is_not_asked(task: Task, device: Device, speak: Callable[[Device], Inbound]) -> None:
    """What its message made due, or took away, stays."""
    presence.doubt_sessions(NOW)
    said(speak(device), at=LATER)
    before = due_at(task)
    ask(at=ASKED_AT)
    assert due_at(task) == before


def test_a_device_with_fresh_progress_is_asked_when_that_is_old(device: Device, task: Task) -> None:
    """An Upgrading device is not pushed again within 60 s of its last progress (rules.md §5)."""
    progress_at = NOW - timedelta(seconds=1) + presence.ASK_AFTER / 2
    Task.objects.update(status=IN_PROGRESS, progress=100, progress_at=progress_at, first_progress_at=NOW)
    presence.doubt_sessions(NOW)
    ask(at=ASKED_AT)
    assert due_at(task) is None
    ask(at=progress_at + FRESH_PROGRESS)
    assert due_at(task) == progress_at + FRESH_PROGRESS + GRACE


def test_what_was_never_handed_out_is_not_touched(device: Device, task: Task) -> None:
    """It is due already, or waits for something else than the device."""
    Task.objects.update(status=CONFIRM, push_no=0, notified_at=None)
    presence.doubt_sessions(NOW)
    ask(at=ASKED_AT)
    assert due_at(task) is None


def test_the_gateway_doubts_also_when_nobody_speaks(task: Task) -> None:
    """A broker that comes back to a silent fleet."""
    assert leases.acquire(LEASE_NAME, "gateway", 60, LATER)
    sink = Sink(apply=ingest, clock=FakeClock(NOW), holder="gateway", stop=threading.Event())
    sink.begin(1, is_presence_doubtful=True)
    ask(at=ASKED_AT)
    assert due_at(task) == ASKED_AT + GRACE
