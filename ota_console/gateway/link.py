"""The gateway's network thread: messages from the broker into the workers' queues, replies and acknowledgements out.

Its session with the broker is persistent; it reconnects for ever, with backoff. Must not touch the database: a slow
transaction must not cost the connection.
"""

import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

import structlog

from devices_app.protocol.topics import GATEWAY_FILTERS
from ota_console.gateway.adapter import (
    BrokerConnection,
    BrokerUnavailable,
    Endpoint,
    Identity,
    Version,
    VersionRefused,
)
from ota_console.gateway.batcher import Batcher
from ota_console.gateway.packets import Message
from ota_console.gateway.session import (
    RECEIVE_MAXIMUM,
    AcknowledgementOrder,
    Backoff,
    Received,
    partition_of,
)

TURN_SECONDS: Final = 0.5
SUBSCRIBED: Final = tuple(GATEWAY_FILTERS)
FIRST_WAIT_SECONDS: Final = 0.2
MOST_WAIT_SECONDS: Final = 10.0
GOODBYE_SECONDS: Final = 5.0
MOST_SILENT_SECONDS: Final = 8.0
"""A broker that did not answer two probes is not there, whatever the connection says."""
MOST_UNSENT_BYTES: Final = 1_048_576
"""Above this, nothing more is handed to the connection until the system has taken some."""
MOST_BACKLOG_BYTES: Final = 33_554_432
"""Replies that wait to be sent; above it the worker waits, so that a slow broker bounds our memory."""

log = structlog.get_logger(__name__)


class _Outgoing(NamedTuple):
    connection: int
    replies: Sequence[tuple[str, bytes]]
    acknowledged: Sequence[Received]
    size: int


class BrokerLink(threading.Thread):
    """Start it as a thread. `failure` says why it ended, if it was not asked to."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        client_id: str,
        batchers: Sequence[Batcher[Received]],
        version: Version | None = None,
    ) -> None:
        """`batchers`: one a worker, devices are shared out among them.

        `version` None: MQTT 5 if the broker speaks it, else 3.1.1.
        """
        super().__init__(name="gateway-link", daemon=True)
        self.failure: BaseException | None = None
        self.connection_no = 0
        """Counts connections; messages of an older one come again, so nobody needs to work on them."""
        self.is_connected = False
        self.doubtful_connection_no = 0
        """The last connection before which the broker may have lost its sessions, with pushes that it had taken."""
        self._was_connected = False
        self._endpoint = endpoint
        self._identity = Identity(client_id, is_persistent=True, receive_maximum=RECEIVE_MAXIMUM)
        self._versions = [version] if version else list(Version)
        self._batchers = batchers
        self._order = AcknowledgementOrder()
        self._outgoing: SimpleQueue[_Outgoing] = SimpleQueue()
        self._backlog_bytes = 0
        self._backlog = threading.Condition()
        self._is_reading = True
        self._stopping = threading.Event()
        self._connection: BrokerConnection | None = None

    # --- called by the other threads ----------------------------------------------------------------------------------

    def finish(
        self, *, connection_no: int, replies: Sequence[tuple[str, bytes]], acknowledged: Sequence[Received]
    ) -> None:
        """After the commit: publish replies, then acknowledge. Waits while too much waits to be sent."""
        size = sum(len(payload) for _, payload in replies)
        with self._backlog:
            self._backlog.wait_for(lambda: self._backlog_bytes < MOST_BACKLOG_BYTES or not self.is_connected)
            self._backlog_bytes += size
        self._outgoing.put(_Outgoing(connection_no, replies, acknowledged, size))
        self._wake()

    @property
    def is_answered(self) -> bool:
        """Connected, and the broker said something lately: a frozen one keeps its connections."""
        connection = self._connection
        return self.is_connected and connection is not None and connection.silent_seconds < MOST_SILENT_SECONDS

    def stop_reading(self) -> None:
        """Take no more messages; what was committed can still be acknowledged."""
        self._is_reading = False
        self._wake()

    def stop(self) -> None:
        """Send what waits, say goodbye, end."""
        self._is_reading = False
        self._stopping.set()
        self._wake()

    def _wake(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.wake()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Connect, serve, connect again."""
        backoff = Backoff(first_seconds=FIRST_WAIT_SECONDS, most_seconds=MOST_WAIT_SECONDS)
        try:
            while not self._stopping.is_set():
                try:
                    connection = self._connect()
                    backoff.reset()
                    self._serve(connection)
                except BrokerUnavailable as error:
                    self._drop_connection()
                    self._pause(error, backoff.next_seconds())
        except BaseException as failure:  # noqa: BLE001 - the runner takes the process down with it
            self.failure = failure
        finally:
            self._drop_connection()

    def _connect(self) -> BrokerConnection:
        self.connection_no += 1
        self._order = AcknowledgementOrder()
        version = self._versions[0]
        connection = BrokerConnection(
            self._endpoint, self._identity, version, on_message=self._received, on_acknowledged=lambda _: None
        )
        self._connection = connection
        connection.connect()
        if self._was_connected or not connection.is_session_present:
            self.doubtful_connection_no = self.connection_no
        connection.subscribe(SUBSCRIBED)
        self.is_connected = self._was_connected = True
        log.info("gateway.connected", host=self._endpoint.host, port=self._endpoint.port, mqtt=version.name)
        return connection

    def _pause(self, error: BrokerUnavailable, seconds: float) -> None:
        if isinstance(error, VersionRefused) and len(self._versions) > 1:
            self._versions.append(self._versions.pop(0))
            log.info("gateway.tries_other_mqtt", error=str(error), mqtt=self._versions[0].name)
        else:
            log.warning("gateway.broker_away", error=str(error), wait_seconds=seconds)
        self._stopping.wait(seconds)

    def _drop_connection(self) -> None:
        with self._backlog:
            self.is_connected = False
            self._backlog.notify_all()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _received(self, message: Message) -> None:
        if message.qos:
            self._order.came(message.mid)
        batcher = self._batchers[partition_of(message.topic, len(self._batchers))]
        if not batcher.put(Received(self.connection_no, *message)):  # it comes again; others wait for its turn
            raise BrokerUnavailable("more messages than there is room for")

    def _serve(self, connection: BrokerConnection) -> None:
        while not self._stopping.is_set():
            self._send_outgoing(connection)
            room = min(batcher.room for batcher in self._batchers) if self._is_reading else 0
            connection.turn(timeout_seconds=TURN_SECONDS, most_messages=room)
        until = time.monotonic() + GOODBYE_SECONDS
        self._send_outgoing(connection)
        while connection.unsent and time.monotonic() < until:
            connection.turn(timeout_seconds=0.05, most_messages=0)
            self._send_outgoing(connection)
        connection.close(is_graceful=True)
        self._connection = None

    def _send_outgoing(self, connection: BrokerConnection) -> None:
        while connection.unsent < MOST_UNSENT_BYTES:
            try:
                item = self._outgoing.get_nowait()
            except Empty:
                return
            if item.size:
                with self._backlog:
                    self._backlog_bytes -= item.size
                    self._backlog.notify_all()
            if item.connection != self.connection_no:  # the broker delivers those messages again
                continue
            for topic, payload in item.replies:
                connection.publish(topic, payload, qos=0)  # a device asks again for an answer that does not come
            connection.acknowledge(self._order.settle(message.mid for message in item.acknowledged if message.qos))
