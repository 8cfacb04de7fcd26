"""The connection to a broker that refuses, is silent, speaks TLS, or sends faster than we take."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ota_console.core import clock
from ota_console.demo.broker_tls import ensure_certificate
from ota_console.demo.processes import free_port
from ota_console.gateway import adapter
from ota_console.gateway.adapter import (
    BrokerConnection,
    BrokerUnavailable,
    Endpoint,
    Identity,
    Version,
    VersionRefused,
)
from ota_console.gateway.packets import Message
from tests import servers

PATIENCE_SECONDS = 20.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[servers.Server]:
    with servers.mosquitto(tmp_path) as server:
        yield server


class Client:
    """A connection that remembers what it got."""

    def __init__(self, endpoint: Endpoint, version: Version = Version.V5, *, name: str = "client") -> None:
        self.messages: list[Message] = []
        self.connection = BrokerConnection(
            endpoint,
            Identity(name, receive_maximum=500),
            version,
            on_message=self.messages.append,
            on_acknowledged=lambda _: None,
        )

    @property
    def numbers(self) -> list[int]:
        return [int(message.payload.split(b" ")[0]) for message in self.messages]

    def subscribe(self) -> None:
        """Connect and subscribe; the broker's answer has come."""
        self.connection.connect()
        self.connection.subscribe(["/t"])
        self.connection.turn(timeout_seconds=PATIENCE_SECONDS, most_messages=10)

    def publish(self, how_many: int, filling: bytes = b"") -> None:
        for number in range(how_many):
            self.connection.publish("/t", b"%d " % number + filling, 1)
        while self.connection.unsent:
            self.connection.turn(timeout_seconds=0.05, most_messages=100)

    def turn_until_received(self, count: int, most_messages: int = 1000) -> None:
        until = clock.monotonic() + PATIENCE_SECONDS
        while len(self.messages) < count and clock.monotonic() < until:
            self.connection.turn(timeout_seconds=0.05, most_messages=most_messages)
            self.connection.acknowledge(message.mid for message in self.messages if message.qos)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1883", "mqtt://", "127.0.0.1"])
def test_an_address_that_is_not_of_mqtt_is_refused_with_what_to_write(url: str) -> None:
    """The person who starts the server reads it."""
    with pytest.raises(ValueError, match="mqtt://host:1883"):
        Endpoint.from_url(url)


def test_an_address_may_name_a_user_and_tls() -> None:
    """Ports are MQTT's own unless given."""
    assert Endpoint.from_url("mqtt://me:p%40ss@host") == Endpoint("host", 1883, "me", "p@ss")
    assert Endpoint.from_url("mqtts://host", ca_file="/ca") == Endpoint("host", 8883, is_tls=True, ca_file="/ca")


def test_tls_carries_the_same_messages(tmp_path: Path) -> None:
    """Many messages at once: those that wait inside TLS are read without a sign from the network."""
    certificate = ensure_certificate(tmp_path / "tls", clock.now())
    port = free_port()
    lines = f"listener {port} 127.0.0.1\ncertfile {certificate.ca}\nkeyfile {certificate.key}\n"
    endpoint = Endpoint("127.0.0.1", port, is_tls=True, ca_file=str(certificate.ca))
    with servers.mosquitto(tmp_path, settings=lines):
        client, sender = Client(endpoint), Client(endpoint, Version.V311, name="sender")
        client.subscribe()
        sender.connection.connect()
        sender.publish(400, b"x" * 200)
        client.turn_until_received(400)
        assert client.numbers == list(range(400))
        sender.connection.close(is_graceful=True)
        client.connection.close(is_graceful=True)


def test_wrong_credentials_are_no_question_of_the_version(tmp_path: Path) -> None:
    """The broker's reason is told; trying an older MQTT would not help."""
    with servers.mosquitto(tmp_path, settings="allow_anonymous false\n") as broker:
        client = Client(Endpoint("127.0.0.1", broker.port, "me", "wrong"))
        with pytest.raises(BrokerUnavailable, match=r"(?i)authori") as refusal:
            client.connection.connect()
        assert not isinstance(refusal.value, VersionRefused)
        client.connection.close()


def test_a_broker_that_answers_nothing_may_speak_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old brokers ignore or cut what they do not know."""
    monkeypatch.setattr(adapter, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(Endpoint("127.0.0.1", silent.getsockname()[1]))
        with pytest.raises(VersionRefused, match="does not answer"):
            client.connection.connect()
        client.connection.close()


def test_an_old_broker_that_cuts_mqtt_5_may_speak_another_version() -> None:
    """Closed before an answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = Client(Endpoint("127.0.0.1", server.getsockname()[1]))
        client.connection._client.on_socket_open = lambda *_: server.accept()[0].close()
        with pytest.raises(VersionRefused):
            client.connection.connect()
        client.connection.close()


def test_what_is_not_mqtt_ends_the_connection() -> None:
    """Something else listens on that port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[socket.socket] = []

        def greet(*_: object) -> None:
            accepted.append(server.accept()[0])
            accepted[0].sendall(b"\x32\xff\xff\xff\xff\xff")

        client = Client(Endpoint("127.0.0.1", server.getsockname()[1]))
        client.connection._client.on_socket_open = greet
        with pytest.raises(BrokerUnavailable, match="not MQTT"):
            client.connection.connect()
        client.connection.close()
        accepted[0].close()


def test_reading_stops_where_there_is_no_room(broker: servers.Server) -> None:
    """What does not fit stays in the network, and comes when there is room again."""
    endpoint = Endpoint.from_url(broker.url)
    client, sender = Client(endpoint), Client(endpoint, name="sender")
    client.subscribe()
    sender.connection.connect()
    sender.publish(300)
    client.turn_until_received(7, most_messages=7)
    before = len(client.messages)
    client.connection.turn(timeout_seconds=0.1, most_messages=0)
    assert 7 <= len(client.messages) == before < 300
    client.turn_until_received(300, most_messages=50)
    assert client.numbers == list(range(300))
    sender.connection.close()
    client.connection.close()


def test_a_closed_connection_says_so(broker: servers.Server) -> None:
    """Waking it does no harm; using it is an error."""
    client = Client(Endpoint.from_url(broker.url))
    client.connection.connect()
    client.connection.close(is_graceful=True)
    client.connection.wake()
    with pytest.raises(BrokerUnavailable):
        client.connection.publish("/t", b"", 0)
