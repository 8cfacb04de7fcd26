"""What the gateway does with a micro-batch, on the real database: all or nothing, nothing twice, nothing lost."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime

import pytest
from django.db import DataError, IntegrityError, OperationalError, ProgrammingError, transaction

from batches_app.engine.ingest import IngestResult, ingest
from devices_app.models import Device, DeviceLogEntry, DropCount, ModuleVersion
from devices_app.protocol import topics
from devices_app.protocol.payloads import Inbound, VersionReport
from ota_console.core import leases
from ota_console.core.clock import FakeClock
from ota_console.gateway.journal import LEASE_NAME, LeaseLost
from ota_console.gateway.models import AppliedEntry
from ota_console.gateway.session import Received
from ota_console.gateway.sink import Apply, Sink
from tests.factories import make_device, make_product

pytestmark = pytest.mark.django_db(transaction=True)

ME = "this-gateway"


@pytest.fixture(autouse=True)
def lease(clock: FakeClock) -> None:
    """This process is the active gateway."""
    assert leases.acquire(LEASE_NAME, ME, 60, clock())


@pytest.fixture
def device() -> Device:
    """Reported nothing yet."""
    return make_device(make_product(), version="")


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def open_sink(clock: FakeClock, stop: threading.Event) -> Callable[..., Sink]:
    """A sink as a fresh process has it."""

    def sink(apply: Apply = ingest) -> Sink:
        return Sink(apply=apply, clock=clock, holder=ME, stop=stop)

    return sink


def inform(device: Device, version: str, *, mid: int = 1, is_duplicate: bool = False, connection: int = 1) -> Received:
    topic = topics.inform(device.product.product_key, device.name)
    payload = b'{"id":1,"params":{"version":"%s"}}' % version.encode()
    return Received(connection, mid, 1, is_duplicate, topic, payload)


def pull(device: Device, *, mid: int = 1, is_duplicate: bool = False) -> Received:
    topic = topics.firmware_get(device.product.product_key, device.name)
    return Received(1, mid, 1, is_duplicate, topic, b'{"id":7,"params":{}}')


def versions(device: Device) -> list[tuple[str, str]]:
    return list(ModuleVersion.objects.filter(device=device).values_list("version", "previous_version"))


class Failing:
    """The engine, behind a database that fails for the first calls."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.call_count = 0

    def __call__(self, messages: Sequence[Inbound], now: datetime) -> IngestResult:
        self.call_count += 1
        result = ingest(messages, now)
        if self.failures:
            raise self.failures.pop(0)
        return result


def refusing(version: str, error: Exception) -> Apply:
    """An engine that cannot apply one version."""

    def apply(messages: Sequence[Inbound], now: datetime) -> IngestResult:
        if any(isinstance(message, VersionReport) and message.version == version for message in messages):
            raise error
        return ingest(messages, now)

    return apply


def test_applies_a_micro_batch_and_says_what_to_acknowledge(open_sink: Callable[..., Sink], device: Device) -> None:
    """What was committed may be acknowledged, and replies are due."""
    batch = [inform(device, "1.0", mid=1), pull(device, mid=2)]
    settled = open_sink().settle(batch)
    assert settled.acknowledged == batch
    reply_topic = topics.firmware_get_reply(device.product.product_key, device.name)
    assert settled.replies == [(reply_topic, b'{"id":7,"code":200,"message":"success","data":{}}')]
    assert versions(device) == [("1.0", "")]


def test_a_redelivered_report_is_acknowledged_and_not_applied_again(
    open_sink: Callable[..., Sink], device: Device
) -> None:
    """Killed between commit and acknowledgement: the old version that comes again is no roll-back."""
    open_sink().settle([inform(device, "1.0", mid=1), inform(device, "2.0", mid=2)])
    again = [inform(device, "1.0", mid=1, is_duplicate=True), inform(device, "2.0", mid=2, is_duplicate=True)]
    settled = open_sink().settle(again)
    assert settled.acknowledged == again
    assert versions(device) == [("2.0", "1.0")]
    assert AppliedEntry.objects.count() == 1


def test_a_redelivered_report_that_was_never_committed_is_applied(
    open_sink: Callable[..., Sink], device: Device
) -> None:
    """Killed before the commit: nothing is lost."""
    settled = open_sink().settle([inform(device, "1.0", is_duplicate=True)])
    assert len(settled.acknowledged) == 1
    assert versions(device) == [("1.0", "")]


def test_a_redelivered_request_is_answered_again(open_sink: Callable[..., Sink], device: Device) -> None:
    """The reply may have been lost together with the acknowledgement."""
    open_sink().settle([pull(device)])
    assert len(open_sink().settle([pull(device, is_duplicate=True)]).replies) == 1


def test_a_reconnect_reads_what_another_gateway_committed(open_sink: Callable[..., Sink], device: Device) -> None:
    """A standby that took over for a while left its own entries."""
    sink = open_sink()
    sink.settle([inform(device, "1.0", mid=1)])
    open_sink().settle([inform(device, "2.0", mid=2), inform(device, "3.0", mid=3)])
    sink.settle([inform(device, "2.0", mid=2, is_duplicate=True, connection=2)])
    assert versions(device) == [("3.0", "2.0")]


@pytest.mark.parametrize("error", [DataError("bad value"), IntegrityError("bad key"), ValueError("bad text")])
def test_a_message_that_cannot_be_applied_is_found_counted_and_acknowledged(
    open_sink: Callable[..., Sink], device: Device, error: Exception
) -> None:
    """One poisonous message costs itself, not its neighbours; the operator finds it on the device's page."""
    batch = [inform(device, version, mid=mid) for mid, version in enumerate(["1.0", "2.0", "poison", "3.0", "4.0"])]
    settled = open_sink(refusing("poison", error)).settle(batch)
    assert settled.acknowledged == batch
    assert versions(device)[0][0] == "4.0"
    assert DropCount.objects.get().reason == "unprocessable"
    assert DeviceLogEntry.objects.get(device=device).reason == "unprocessable"


def test_a_single_lost_race_is_tried_again(open_sink: Callable[..., Sink], device: Device) -> None:
    """A unique constraint that another transaction filled meanwhile is not the message's fault."""
    settled = open_sink(Failing(IntegrityError("a race"))).settle([inform(device, "1.0")])
    assert len(settled.acknowledged) == 1
    assert versions(device) == [("1.0", "")]


def test_a_database_that_is_away_is_asked_again_with_the_whole_batch(
    open_sink: Callable[..., Sink], device: Device
) -> None:
    """A dead-lock or an outage acknowledges nothing and drops nothing."""
    engine = Failing(OperationalError("deadlock detected"), OperationalError("the connection is closed"))
    settled = open_sink(engine).settle([inform(device, "1.0", mid=1), inform(device, "2.0", mid=2)])
    assert engine.call_count == 3
    assert len(settled.acknowledged) == 2
    assert not DropCount.objects.exists()
    assert versions(device) == [("2.0", "1.0")]


def test_a_stop_while_the_database_is_away_acknowledges_nothing(
    open_sink: Callable[..., Sink], stop: threading.Event, device: Device
) -> None:
    """The broker keeps the messages for the next gateway."""
    stop.set()
    settled = open_sink(Failing(OperationalError("away"))).settle([inform(device, "1.0")])
    assert settled.acknowledged == []
    assert versions(device) == []


def test_a_commit_whose_confirmation_is_lost_is_not_applied_twice(
    open_sink: Callable[..., Sink], device: Device
) -> None:
    """The connection broke after the commit arrived: the attempt is found by its token."""
    calls = []

    def engine(messages: Sequence[Inbound], now: datetime) -> IngestResult:
        calls.append(len(messages))
        transaction.on_commit(lambda: break_connection(len(calls)))
        return ingest(messages, now)

    def break_connection(call: int) -> None:
        if call == 1:
            raise OperationalError("server closed the connection unexpectedly")

    settled = open_sink(engine).settle([inform(device, "1.0")])
    assert calls == [1]
    assert len(settled.acknowledged) == 1
    assert AppliedEntry.objects.count() == 1


def test_a_fault_of_our_own_ends_the_process(open_sink: Callable[..., Sink], device: Device) -> None:
    """A missing table is no reason to drop what devices said."""
    with pytest.raises(ProgrammingError):
        open_sink(Failing(ProgrammingError("no such column"))).settle([inform(device, "1.0")])
    assert versions(device) == []


def test_a_gateway_without_its_lease_cannot_commit(
    open_sink: Callable[..., Sink], clock: FakeClock, device: Device
) -> None:
    """An old gateway that wakes up beside its successor writes nothing."""
    clock.advance(seconds=120)
    assert leases.acquire(LEASE_NAME, "the-successor", 60, clock())
    with pytest.raises(LeaseLost):
        open_sink().settle([inform(device, "1.0")])
    assert versions(device) == []
    assert not AppliedEntry.objects.exists()


def test_a_lease_that_ran_out_but_was_not_taken_is_still_ours(
    open_sink: Callable[..., Sink], clock: FakeClock, device: Device
) -> None:
    """After a database outage nobody else could take it either."""
    clock.advance(seconds=120)
    assert len(open_sink().settle([inform(device, "1.0")]).acknowledged) == 1
