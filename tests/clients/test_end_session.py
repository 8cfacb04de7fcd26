"""The console ends a device's session at the embedded broker; nobody else can."""

import json

from pytest_django import Settings

from devices_app.protocol import topics
from ota_console.gateway.sessions import end_session_by_message
from tests.clients.conftest import Broker
from tests.clients.console_stub import BROKER_SECRET, PRODUCT_KEY
from tests.clients.mqtt import WAIT_SECONDS, connected, device, server

PK = PRODUCT_KEY


def test_the_console_ends_a_session(broker: Broker, settings: Settings) -> None:
    """By the adapter of the port, so that its topic and the broker's agree. Other sessions stay."""
    settings.MQTT_URL = f"mqtt://ota-server:{BROKER_SECRET}@127.0.0.1:{broker.port}"
    with connected(server(broker.port, "gw-ended1")) as (gateway,):
        gateway.subscribe(topics.presence(PK, "ended1"))
        with connected(device(broker.port, "ended1"), device(broker.port, "stays1")) as (ended, stays):
            end_session_by_message(PK, "ended1")
            assert ended.is_down.wait(WAIT_SECONDS)
            events = [json.loads(gateway.next().payload)["event"] for _ in range(2)]
            assert events == ["connected", "disconnected"]
            assert not stays.is_down.is_set()


def test_no_device_ends_the_session_of_another(broker: Broker) -> None:
    """The topic belongs to the console's account."""
    clients = device(broker.port, "bully1"), device(broker.port, "victim1"), server(broker.port, "pub-bully1")
    with connected(*clients) as (bully, victim, console):
        bully.publish(topics.session_end(PK, "victim1"), b"", qos=1)
        console.publish(topics.upgrade(PK, "victim1"), b"{}", qos=1)
        assert victim.topics(1) == [topics.upgrade(PK, "victim1")]
        assert not victim.is_down.is_set()
