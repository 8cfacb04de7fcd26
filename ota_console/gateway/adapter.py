"""The only file that knows paho: one connection to a broker, driven by the thread that owns it.

A `BrokerConnection` is made anew for every connection and thrown away with everything in it, so that neither a stale
acknowledgement nor a stale push can reach the next one. paho's own loop is not used: this one reads only while there is
room, and sends what has gathered in one call. Must not know a database, or what messages mean.
"""

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ota_console.gateway.sockets import BufferedSocket

KEEPALIVE_SECONDS: Final = 60
CONNECT_SECONDS: Final = 5.0
SESSION_SECONDS: Final = 7 * 86_400
"""MQTT 5: how long the broker keeps a persistent session without its gateway."""
MOST_UNSENT_BYTES: Final = 1_048_576
"""Above this, nothing more is handed to the socket until the system has taken some."""

Message = tuple[int, int, bool, str, bytes]
"""Message id, QoS, is a duplicate, topic, payload."""


class BrokerUnavailable(Exception):
    """No connection to the broker, or it ended."""


class Version(Enum):
    """MQTT versions that the gateway speaks, best first."""

    V5 = MQTTv5
    V311 = MQTTv311


class VersionRefused(BrokerUnavailable):
    """The broker may not speak this version of MQTT."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the broker is, and who connects."""

    host: str
    port: int
    username: str = ""
    password: str = ""
    is_tls: bool = False
    ca_file: str = ""

    @classmethod
    def from_url(cls, url: str, *, ca_file: str = "") -> "Endpoint":
        """`mqtt://user:password@host:1883` or `mqtts://…`. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            message = f"Not an MQTT address: {url!r}. Use mqtt://host:1883 or mqtts://host:8883."
            raise ValueError(message)
        is_tls = parts.scheme == "mqtts"
        port = parts.port or (8883 if is_tls else 1883)
        return cls(parts.hostname, port, unquote(parts.username or ""), unquote(parts.password or ""), is_tls, ca_file)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are to the broker. A persistent session needs a fixed client id."""

    client_id: str
    is_persistent: bool = False
    receive_maximum: int = 0
    """MQTT 5: messages the broker may leave unacknowledged; 0: its default."""


class _BufferedClient(Client):
    """paho with our socket: the one hook of the library that its documentation does not name (a test watches it)."""

    def _create_socket(self) -> Any:  # the library's SocketLike protocol is not exported
        return BufferedSocket(super()._create_socket())  # type: ignore[arg-type] # never a web socket here


class BrokerConnection:
    """Connect, then call `turn` again and again from one thread; only `wake` may be called from others."""

    def __init__(
        self,
        endpoint: Endpoint,
        identity: Identity,
        version: Version,
        *,
        on_message: Callable[[Message], None],
        on_published: Callable[[int], None],
    ) -> None:
        """`on_message` and `on_published` (with the message id) are called from `turn`."""
        self._endpoint = endpoint
        self._identity = identity
        self._version = version
        self._on_message = on_message
        self._on_published = on_published
        self._outcome: ReasonCode | None = None
        self._lost: str = ""
        self._is_awake = False
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._interest = 0
        self._client = self._make_client()

    def _make_client(self) -> Client:
        persistent = self._identity.is_persistent
        client = _BufferedClient(
            CallbackAPIVersion.VERSION2,
            client_id=self._identity.client_id,
            clean_session=None if self._version is Version.V5 else not persistent,
            protocol=MQTTProtocolVersion(self._version.value),
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_SECONDS
        client.max_inflight_messages_set(0)  # paho would scan its window at every acknowledgement; callers bound theirs
        if self._endpoint.username:
            client.username_pw_set(self._endpoint.username, self._endpoint.password)
        if self._endpoint.is_tls:
            client.tls_set_context(ssl.create_default_context(cafile=self._endpoint.ca_file or None))
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        client.on_publish = self._published
        client.on_socket_register_write = lambda *_: None  # keeps paho from writing on its own: `turn` does
        return client

    # --- paho's callbacks ---------------------------------------------------------------------------------------------

    def _connected(self, _c: Client, _u: object, _f: ConnectFlags, reason: ReasonCode, _p: Properties | None) -> None:
        self._outcome = reason

    def _disconnected(
        self, _c: Client, _u: object, _f: DisconnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        self._lost = str(reason)

    def _received(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:  # acknowledged and counted like any other nonsense
            topic = ""
        self._on_message((message.mid, message.qos, message.dup, topic, bytes(message.payload)))

    def _published(self, _c: Client, _u: object, mid: int, _r: ReasonCode, _p: Properties) -> None:
        self._on_published(mid)

    # --- life ---------------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Connect and wait for the broker's answer. Raises BrokerUnavailable, VersionRefused."""
        properties = None
        arguments: dict[str, Any] = {}
        if self._version is Version.V5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho forgot
            if self._identity.is_persistent:
                properties.SessionExpiryInterval = SESSION_SECONDS
            if self._identity.receive_maximum:
                properties.ReceiveMaximum = self._identity.receive_maximum
            arguments["clean_start"] = not self._identity.is_persistent
        try:
            self._client.connect_async(
                self._endpoint.host, self._endpoint.port, KEEPALIVE_SECONDS, properties=properties, **arguments
            )
            self._client.reconnect()
        except OSError as error:
            raise BrokerUnavailable(str(error)) from error
        self._await_outcome()

    def _await_outcome(self) -> None:
        until = time.monotonic() + CONNECT_SECONDS
        while self._outcome is None:
            left = until - time.monotonic()
            if left <= 0:
                message = "The broker does not answer."
                raise VersionRefused(message)
            try:
                self.turn(timeout_seconds=left, most_messages=1)
            except BrokerUnavailable as error:
                if self._outcome is None:  # brokers that do not know MQTT 5 just close
                    raise VersionRefused(str(error)) from error
        if self._outcome.is_failure:
            refusal = VersionRefused if self._outcome == "Unsupported protocol version" else BrokerUnavailable
            raise refusal(str(self._outcome))

    def subscribe(self, filters: Iterable[str]) -> None:
        """Subscribe at QoS 1; on MQTT 5 without our own publishes."""
        if self._version is Version.V5:
            self._client.subscribe([(name, SubscribeOptions(qos=1, noLocal=True)) for name in filters])
        else:
            self._client.subscribe([(name, 1) for name in filters])

    def publish(self, topic: str, payload: bytes, qos: int) -> int:
        """Queue a message for the next `turn`; answers its id."""
        return self._client.publish(topic, payload, qos).mid

    def acknowledge(self, mid: int, qos: int) -> None:
        """Queue an acknowledgement for the next `turn`."""
        self._client.ack(mid, qos)

    @property
    def has_unsent(self) -> bool:
        """Something queued has not left yet."""
        buffered = self._client.socket()
        return isinstance(buffered, BufferedSocket) and (buffered.unsent > 0 or self._client.want_write())

    def wake(self) -> None:
        """End a waiting `turn` early; the only method that other threads may call."""
        if not self._is_awake:
            self._is_awake = True
            with contextlib.suppress(OSError):  # closed meanwhile: nobody waits any more
                self._wake_writer.send(b"\0")

    def turn(self, *, timeout_seconds: float, most_messages: int) -> None:
        """Send what is queued, wait, read at most `most_messages` packets. Raises BrokerUnavailable at the end."""
        buffered = self._client.socket()
        if not isinstance(buffered, BufferedSocket):
            raise BrokerUnavailable(self._lost or "not connected")
        self._write(buffered)
        may_read = most_messages > 0
        is_ready = may_read and (buffered.pending() > 0 or buffered.has_hidden_bytes)
        for key, events in self._wait(buffered, 0 if is_ready else timeout_seconds, may_read=may_read):
            if key.fileobj is self._wake_reader:
                self._is_awake = False
                self._wake_reader.recv(64)
            elif events & selectors.EVENT_READ:
                is_ready = True
        if is_ready:
            self._read(buffered, most_messages)
        self._check(self._client.loop_misc())

    def _wait(
        self, buffered: BufferedSocket, timeout_seconds: float, *, may_read: bool
    ) -> list[tuple[selectors.SelectorKey, int]]:
        wanted = (selectors.EVENT_READ if may_read else 0) | (selectors.EVENT_WRITE if buffered.unsent else 0)
        if wanted != self._interest:
            if self._interest:
                self._selector.unregister(buffered)
            if wanted:
                self._selector.register(buffered, wanted)
            self._interest = wanted
        return self._selector.select(timeout_seconds)

    def _write(self, buffered: BufferedSocket) -> None:
        if buffered.unsent < MOST_UNSENT_BYTES and self._client.want_write():
            self._check(self._client.loop_write())
        try:
            buffered.flush()
        except OSError as error:
            raise BrokerUnavailable(str(error)) from error

    def _read(self, buffered: BufferedSocket, most_messages: int) -> None:
        try:
            if buffered.pending() == 0 or buffered.has_hidden_bytes:
                buffered.fill()
        except OSError as error:
            raise BrokerUnavailable(str(error)) from error
        while most_messages and buffered.pending():
            most_messages -= 1
            self._check(self._client.loop_read())

    def _check(self, code: MQTTErrorCode) -> None:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise BrokerUnavailable(self._lost or code.name)

    def close(self, *, is_graceful: bool = False) -> None:
        """Let the connection go; gracefully: say goodbye, so that the broker does not wait for the keep-alive."""
        buffered = self._client.socket()
        if is_graceful and isinstance(buffered, BufferedSocket):
            self._client.disconnect()
            with contextlib.suppress(BrokerUnavailable):
                self._write(buffered)
        self._selector.close()
        if isinstance(buffered, BufferedSocket):
            buffered.close()
        self._wake_reader.close()
        self._wake_writer.close()
