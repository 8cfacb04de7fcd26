"""The publisher with a real broker: what it acknowledges left, and a broken connection ends it."""

import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from devices_app.ports import PublisherUnavailable, PushToken
from ota_console.demo.processes import free_port, wait_until
from ota_console.gateway.adapter import Endpoint, Version
from ota_console.gateway.publisher import MqttPublisher
from tests import servers

SECONDS = 30


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[servers.Server]:
    with servers.mosquitto(tmp_path) as server:
        yield server


def connect(broker: servers.Server, version: Version | None = None, window: int = 20) -> MqttPublisher:
    return MqttPublisher(endpoint=Endpoint.from_url(broker.url), client_id="worker", version=version, window=window)


def taken(publisher: MqttPublisher, how_many: int) -> list[PushToken]:
    tokens: list[PushToken] = []
    until = time.monotonic() + SECONDS
    while len(tokens) < how_many and time.monotonic() < until:
        tokens += publisher.take_acknowledged(timeout_seconds=0.1)
    return tokens


@pytest.mark.parametrize("version", [None, Version.V311])
def test_every_push_arrives_in_order_and_its_token_comes_back(broker: servers.Server, version: Version | None) -> None:
    """More messages than the window, all acknowledged once, on either version of MQTT."""
    received: list[bytes] = []
    listener = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="device")
    subscribed: list[int] = []
    listener.on_subscribe = lambda *_: subscribed.append(1)
    listener.on_message = lambda _c, _u, message: received.append(bytes(message.payload))
    listener.connect("127.0.0.1", broker.port)
    listener.subscribe("/up/#", 1)
    listener.loop_start()
    assert wait_until(lambda: bool(subscribed), SECONDS)
    publisher = connect(broker, version)
    tokens = [PushToken(number, 1) for number in range(200)]
    for token in tokens:
        publisher.publish(f"/up/{token.task_id % 7}", b"%d" % token.task_id, token)
    assert taken(publisher, 200) == tokens
    assert wait_until(lambda: len(received) == 200, SECONDS)
    assert received == [b"%d" % number for number in range(200)]
    publisher.close()
    listener.disconnect()
    listener.loop_stop()


def push_until_refused(publisher: MqttPublisher) -> None:
    """More than the window holds."""
    for number in range(100):
        publisher.publish("/up/1", b"lost", PushToken(number, 2))


def test_a_broker_that_allows_few_messages_in_flight_gets_no_more(tmp_path: Path) -> None:
    """MQTT 5: a client that exceeds the broker's receive maximum would be thrown out."""
    with servers.mosquitto(tmp_path, settings="max_inflight_messages 5\n") as broker:
        publisher = connect(broker, Version.V5, window=100)
        for number in range(300):
            publisher.publish("/up/1", b"x", PushToken(number, 1))
        assert len(taken(publisher, 300)) == 300
        publisher.close()


def test_no_broker_is_said_at_once() -> None:
    """The push loop ends and beat begins another one later."""
    with pytest.raises(PublisherUnavailable):
        MqttPublisher(endpoint=Endpoint("127.0.0.1", free_port()), client_id="worker")


def test_a_lost_broker_ends_the_publisher_with_what_was_in_flight(broker: servers.Server) -> None:
    """Whoever waits for room is told; nothing is sent again by itself: the claims wait for their lease."""
    publisher = connect(broker)
    publisher.publish("/up/1", b"first", PushToken(1, 1))
    assert taken(publisher, 1) == [PushToken(1, 1)]
    broker.child.kill()
    with pytest.raises(PublisherUnavailable):
        push_until_refused(publisher)
    assert publisher.take_acknowledged(timeout_seconds=0.1) == []
    publisher.close()


def test_a_closed_publisher_takes_nothing(broker: servers.Server) -> None:
    """A push after the end of the loop is a mistake that is said."""
    publisher = connect(broker)
    publisher.close()
    with pytest.raises(PublisherUnavailable):
        publisher.publish("/up/1", b"late", PushToken(1, 1))
