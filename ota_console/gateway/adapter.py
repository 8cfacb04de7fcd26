"""The only file that knows paho: one connection to a broker, driven by the thread that owns it.

This file is long because it is one thing: the only file that knows paho.

paho connects, subscribes and keeps the connection alive; messages and their acknowledgements go past it (`packets`).
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

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ota_console.gateway.packets import (
    Acknowledged,
    MalformedPacket,
    Message,
    PacketReader,
    puback,
    publish,
    read_puback,
)
from ota_console.gateway.sockets import BufferedSocket

KEEPALIVE_SECONDS: Final = 60
CONNECT_SECONDS: Final = 5.0
PROBE_SECONDS: Final = 3.0
"""A broker that was silent for so long is asked for a sign of life, long before the keep-alive would ask."""
PINGREQ: Final = b"\xc0\x00"
SESSION_SECONDS: Final = 7 * 86_400
"""MQTT 5: how long the broker keeps a persistent session without its gateway."""
MESSAGE_IDS: Final = 65_535


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
        on_acknowledged: Callable[[Acknowledged], None],
    ) -> None:
        """`on_message` and `on_acknowledged` are called from `turn`."""
        self._endpoint = endpoint
        self._identity = identity
        self._version = version
        self._on_message = on_message
        self._on_acknowledged = on_acknowledged
        self.is_session_present = False
        """The broker still had our session, and with it what devices said meanwhile."""
        self._outcome: ReasonCode | None = None
        self._lost: str = ""
        self._is_awake = False
        self._heard_at = self._probed_at = time.monotonic()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._interest = 0
        self._packets = PacketReader(has_properties=version is Version.V5)
        self._has_packets = False
        self._last_mid = 0
        self.receive_maximum = MESSAGE_IDS
        """Messages of ours that the broker lets us leave unacknowledged."""
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
        if self._endpoint.username:
            client.username_pw_set(self._endpoint.username, self._endpoint.password)
        if self._endpoint.is_tls:
            client.tls_set_context(ssl.create_default_context(cafile=self._endpoint.ca_file or None))
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_socket_register_write = lambda *_: None  # keeps paho from writing on its own: `turn` does
        return client

    # --- paho's callbacks ---------------------------------------------------------------------------------------------

    def _connected(
        self, _c: Client, _u: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self.is_session_present = flags.session_present
        self.receive_maximum = getattr(properties, "ReceiveMaximum", MESSAGE_IDS)
        self._outcome = reason

    def _disconnected(
        self, _c: Client, _u: object, _f: DisconnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        self._lost = str(reason)

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
        """Queue a message for the next `turn`; answers its id. At QoS 1 the caller heeds `receive_maximum`."""
        if qos:
            self._last_mid = self._last_mid % MESSAGE_IDS + 1
        mid = self._last_mid if qos else 0
        self._socket().send(publish(topic, payload, mid=mid, has_properties=self._version is Version.V5))
        return mid

    def acknowledge(self, mids: Iterable[int]) -> None:
        """Queue acknowledgements of messages at QoS 1 for the next `turn`, behind what was published before."""
        self._socket().send(b"".join(map(puback, mids)))

    @property
    def unsent(self) -> int:
        """Bytes that have not left yet."""
        buffered = self._client.socket()
        return buffered.unsent if isinstance(buffered, BufferedSocket) else 0

    @property
    def silent_seconds(self) -> float:
        """Since the broker last said anything; a living one answers a probe, so it stays little above PROBE_SECONDS."""
        return time.monotonic() - self._heard_at

    def _socket(self) -> BufferedSocket:
        buffered = self._client.socket()
        if not isinstance(buffered, BufferedSocket):
            raise BrokerUnavailable(self._lost or "not connected")
        return buffered

    def wake(self) -> None:
        """End a waiting `turn` early; the only method that other threads may call."""
        if not self._is_awake:
            self._is_awake = True
            with contextlib.suppress(OSError):  # closed meanwhile: nobody waits any more
                self._wake_writer.send(b"\0")

    def turn(self, *, timeout_seconds: float, most_messages: int) -> None:
        """Send what is queued, wait, read at most `most_messages` packets. Raises BrokerUnavailable at the end."""
        buffered = self._socket()
        self._write(buffered)
        may_read = most_messages > 0
        is_ready = may_read and (self._has_packets or buffered.has_hidden_bytes)
        for key, events in self._wait(buffered, 0 if is_ready else timeout_seconds, may_read=may_read):
            if key.fileobj is self._wake_reader:
                self._wake_reader.recv(64)
                self._is_awake = False  # only now: a wake in between would be read away, and later ones held back
            elif events & selectors.EVENT_READ:
                is_ready = True
        if is_ready:
            self._read(buffered, most_messages)
        self._probe(buffered)
        self._check(self._client.loop_misc())

    def _probe(self, buffered: BufferedSocket) -> None:
        now = time.monotonic()
        if self._outcome is not None and now - max(self._heard_at, self._probed_at) >= PROBE_SECONDS:
            self._probed_at = now
            buffered.send(PINGREQ)

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
        if self._client.want_write():
            self._check(self._client.loop_write())
        try:
            buffered.flush()
        except OSError as error:
            raise BrokerUnavailable(str(error)) from error

    def _read(self, buffered: BufferedSocket, most_messages: int) -> None:
        try:
            if not self._has_packets:  # else what was read already would grow without bound
                data = buffered.read()
                if data:
                    self._heard_at = time.monotonic()
                self._packets.feed(data)
            for _ in range(most_messages):
                packet = self._packets.next()
                self._has_packets = packet is not None
                if packet is None:
                    break
                self._take(buffered, packet)
        except OSError as error:
            raise BrokerUnavailable(str(error)) from error
        except MalformedPacket as error:
            raise BrokerUnavailable(f"not MQTT: {error}") from error
        if buffered.is_at_end and not self._has_packets:
            self._check(self._client.loop_read())

    def _take(self, buffered: BufferedSocket, packet: Message | bytes) -> None:
        if isinstance(packet, Message):
            self._on_message(packet)
            return
        acknowledged = read_puback(packet)
        if acknowledged is None:
            buffered.offer(packet)
            self._check(self._client.loop_read())
        else:
            self._on_acknowledged(acknowledged)

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
