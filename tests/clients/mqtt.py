"""An MQTT client for tests: paho, with waiting for conditions instead of sleeping."""

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from devices_app.protocol.credentials import SERVER_USER, Login, password_of
from tests.clients.console_stub import BROKER_SECRET, PRODUCT_KEY, secret_of

WAIT_SECONDS = 60
"""For a busy machine; nothing waits for it when things go well."""
QUIET_SECONDS = 0.3
"""How long nothing must come to call it nothing."""


class Client:
    """One connection. `connect` waits for the answer, whatever it is."""

    def __init__(
        self, port: int, *, client_id: str, username: str, password: str, is_kept: bool = False, acks: bool = True
    ) -> None:
        """`acks` False: QoS 1 messages are received and never acknowledged."""
        self.port = port
        self.messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self.codes: queue.Queue[str] = queue.Queue()
        self.granted: queue.Queue[list[int]] = queue.Queue()
        self.is_down = threading.Event()
        self._acks = acks
        self._paho = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=not is_kept,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        self._paho.username_pw_set(username, password)
        self._paho.on_connect = lambda _c, _u, _f, code, _p: self.codes.put(str(code))
        self._paho.on_subscribe = lambda _c, _u, _m, codes, _p: self.granted.put([code.value for code in codes])
        self._paho.on_disconnect = lambda *_: self.is_down.set()
        self._paho.on_message = self._received

    def _received(self, client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        self.messages.put(message)
        if self._acks:
            client.ack(message.mid, message.qos)

    def connect(self, *, ca: Path | None = None, keepalive: int = 60) -> str:
        """The broker's answer: `Success`, or why not."""
        if ca is not None:
            self._paho.tls_set(str(ca))
        self._paho.connect("127.0.0.1", self.port, keepalive)
        self._paho.loop_start()
        return self.codes.get(timeout=WAIT_SECONDS)

    def publish(self, topic: str, payload: bytes = b"{}", qos: int = 0) -> None:
        """Wait until the broker has it."""
        self._paho.publish(topic, payload, qos).wait_for_publish(WAIT_SECONDS)

    def subscribe(self, *filters: str, qos: int = 1) -> list[int]:
        """The granted QoS of each, 128 for refused."""
        self._paho.subscribe([(filter_, qos) for filter_ in filters])
        return self.granted.get(timeout=WAIT_SECONDS)

    def next(self) -> paho.MQTTMessage:
        """The next message; fails after a while."""
        return self.messages.get(timeout=WAIT_SECONDS)

    def topics(self, count: int) -> list[str]:
        """The topics of the next messages."""
        return [self.next().topic for _ in range(count)]

    def is_quiet(self) -> bool:
        """Nothing comes."""
        with contextlib.suppress(queue.Empty):
            self.messages.get(timeout=QUIET_SECONDS)
            return False
        return True

    def vanish(self) -> None:
        """Drop the socket without a word, as a kill -9 would."""
        socket = self._paho.socket()
        if socket is not None:
            socket.close()
        self._paho.loop_stop()

    def close(self) -> None:
        """Say goodbye."""
        self._paho.disconnect()
        self._paho.loop_stop()


def device(port: int, name: str, *, unasked: bool = True, secret: str = "") -> Client:
    """A device as the C SDK would connect."""
    login = Login(PRODUCT_KEY, name, f"{PRODUCT_KEY}.{name}", "hmacsha256", "2524608000000")
    extra = f"timestamp=2524608000000,_ss={int(unasked)},_v=sdk-c-4.1.0,securemode=3,signmethod=hmacsha256,ext=3,"
    password = (password_of(login, secret or secret_of(name)) or "").upper()
    return Client(port, client_id=f"{login.client_id}|{extra}|", username=f"{name}&{PRODUCT_KEY}", password=password)


def server(port: int, name: str, *, is_kept: bool = False, acks: bool = True) -> Client:
    """A gateway or publisher."""
    return Client(port, client_id=name, username=SERVER_USER, password=BROKER_SECRET, is_kept=is_kept, acks=acks)


@contextlib.contextmanager
def connected(*clients: Client) -> Iterator[Sequence[Client]]:
    """Connect all, close all."""
    try:
        for client in clients:
            assert client.connect() == "Success"
        yield clients
    finally:
        for client in clients:
            client.close()
