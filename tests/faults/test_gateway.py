"""The gateway's life with a real broker: kills, outages, stand-ins. Nothing is lost, nothing counts twice."""

import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from django.db import ProgrammingError

from batches_app.engine.ingest import IngestResult, ingest
from devices_app.models import Device, DropCount, ModuleVersion
from devices_app.protocol import topics
from devices_app.protocol.payloads import Inbound
from ota_console.core import clock as real_clock
from ota_console.core import leases
from ota_console.demo.processes import wait_until
from ota_console.gateway.adapter import Endpoint, Version
from ota_console.gateway.runner import Gateway, GatewayConfig
from tests import servers
from tests.factories import make_device, make_product
from tests.faults.gateways import PATIENCE_SECONDS, Flood, gateways

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

on_both_databases = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[servers.Server]:
    with servers.mosquitto(tmp_path) as server:
        yield server


@pytest.fixture
def device() -> Device:
    return make_device(make_product(), version="")


def nonsense(device: Device, how_many: int) -> list[tuple[str, bytes]]:
    """Messages that leave a count each: the one thing that shows every loss and every repetition."""
    topic = topics.progress(device.product.product_key, device.name)
    return [(topic, b'{"id":%d,"params":{"step":"half"}}' % number) for number in range(how_many)]


def version(device: Device, value: str) -> tuple[str, bytes]:
    topic = topics.inform(device.product.product_key, device.name)
    return topic, b'{"id":1,"params":{"version":"%s"}}' % value.encode()


def counted() -> int:
    return sum(DropCount.objects.filter(reason="bad_step").values_list("count", flat=True))


def has_version(device: Device, value: str) -> bool:
    return ModuleVersion.objects.filter(device=device, version=value).exists()


def publish(broker: servers.Server, *messages: tuple[str, bytes], qos: int = 1) -> None:
    flood = Flood(broker.port, list(messages), qos=qos, per_second=1000)
    flood.start()
    flood.join()


def arrives(device: Device, value: str) -> bool:
    return wait_until(lambda: has_version(device, value), PATIENCE_SECONDS)


@on_both_databases
@pytest.mark.parametrize("qos", [0, 1])
def test_kill_9_in_the_middle_loses_and_doubles_nothing(
    broker: servers.Server, device: Device, qos: int, database: str
) -> None:
    """Devices report at QoS 0 or 1 while the active gateway is killed; a standby goes on where the killed one was."""
    flood = Flood(broker.port, [*nonsense(device, 3000), version(device, "last")], qos=qos, per_second=600)
    with gateways(broker.url, 2) as running:
        flood.start()
        assert wait_until(lambda: counted() > 300, PATIENCE_SECONDS)
        running[0].child.kill()
        killed_at = flood.sent_count
        assert running[1].becomes_active()
        assert arrives(device, "last")
    flood.join()
    assert killed_at < 3000
    assert counted() == 3000


@on_both_databases
def test_a_stop_hands_over_within_seconds(broker: servers.Server, device: Device, database: str) -> None:
    """SIGTERM finishes what is in hand and gives the lease back: the standby need not wait for it."""
    flood = Flood(broker.port, [*nonsense(device, 600), version(device, "last")], qos=1, per_second=300)
    with gateways(broker.url, 2) as running:
        flood.start()
        assert wait_until(lambda: counted() > 50, PATIENCE_SECONDS)
        running[0].child.stop()
        assert running[0].child.exit_code == 0
        assert wait_until(lambda: running[1].has_logged("gateway.connected"), 5)
        assert arrives(device, "last")
    flood.join()
    assert counted() == 600


def test_what_came_while_no_gateway_lived_is_kept(broker: servers.Server, device: Device) -> None:
    """The broker keeps QoS 0 reports too for the gateway's session."""
    with gateways(broker.url) as running:
        assert running[0].becomes_active()
    publish(broker, *nonsense(device, 100), version(device, "meanwhile"), qos=0)
    with gateways(broker.url):
        assert arrives(device, "meanwhile")
    assert counted() == 100


def test_a_broker_that_is_killed_is_reached_again(device: Device, tmp_path: Path) -> None:
    """The gateway reconnects and subscribes again; devices report again when they reconnect."""
    with servers.mosquitto(tmp_path) as first:
        port = first.port
        with gateways(first.url) as running:
            first.child.kill()
            with servers.mosquitto(tmp_path, port=port) as again:
                assert wait_until(lambda: str(running[0].lines).count("gateway.connected") == 2, PATIENCE_SECONDS)
                publish(again, version(device, "after"))
                assert arrives(device, "after")
            assert running[0].child.exit_code is None


def test_a_broker_without_mqtt_5_is_spoken_to_in_3_1_1(broker: servers.Server, device: Device) -> None:
    """The older version carries the same messages."""
    config = GatewayConfig(endpoint=Endpoint.from_url(broker.url), client_id="old", version=Version.V311)
    gateway = Gateway(config=config, apply=ingest, clock=real_clock.now)
    helper = threading.Thread(target=lambda: _publish_and_stop(gateway, broker, device))
    helper.start()
    assert gateway.run() == 0
    helper.join()
    assert has_version(device, "1.0")


def _publish_and_stop(gateway: Gateway, broker: servers.Server, device: Device) -> None:
    try:
        _publish_when_connected(gateway, broker, version(device, "1.0"))
        wait_until(lambda: gateway.settled_count > 0, PATIENCE_SECONDS)
    finally:
        gateway.stop()


def test_a_thread_that_dies_takes_the_process_down(broker: servers.Server, device: Device) -> None:
    """A fault of our own: the process ends instead of going on half-alive, the lease is free, the messages are kept."""

    def broken(messages: Sequence[Inbound], now: datetime) -> IngestResult:
        raise ProgrammingError("no such column")

    config = GatewayConfig(endpoint=Endpoint.from_url(broker.url), client_id="ota-gateway")
    gateway = Gateway(config=config, apply=broken, clock=real_clock.now)
    helper = threading.Thread(target=lambda: _publish_when_connected(gateway, broker, version(device, "kept")))
    helper.start()
    assert gateway.run() == 1
    helper.join()
    assert leases.find("gateway", real_clock.now()) is None
    with gateways(broker.url):
        assert arrives(device, "kept")


def _publish_when_connected(gateway: Gateway, broker: servers.Server, message: tuple[str, bytes]) -> None:
    wait_until(lambda: gateway.is_connected, PATIENCE_SECONDS)
    publish(broker, message)


def test_a_gateway_beats_its_heart_while_it_works(broker: servers.Server) -> None:
    """Health checks see that one is active."""
    with gateways(broker.url):
        assert wait_until(lambda: leases.find("heartbeat:gateway", real_clock.now()) is not None, PATIENCE_SECONDS)
    assert leases.find("heartbeat:gateway", real_clock.now()) is None


def test_a_standby_does_nothing_while_another_is_active(broker: servers.Server) -> None:
    """Two gateways in one session would throw each other out."""
    with gateways(broker.url, 2) as running:
        assert not running[1].has_logged("gateway.connected")
        assert running[1].child.exit_code is None
