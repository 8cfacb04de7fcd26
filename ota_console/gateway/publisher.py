"""The publisher of a worker process: notifications at QoS 1 with a bounded window (port `Publisher`).

Made lazily in the process that uses it, with a clean session of its own. When its connection ends it is spent: what was
not acknowledged is thrown away with it, since a push that a broker client sends again later would be a stale one; its
claims wait for their lease. Must not know tasks or the database.
"""

import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Final

import structlog
from django.conf import settings

from devices_app.ports import PublisherUnavailable, PushToken
from ota_console.core import ids
from ota_console.gateway.adapter import (
    BrokerConnection,
    BrokerUnavailable,
    Endpoint,
    Identity,
    Version,
    VersionRefused,
)
from ota_console.gateway.packets import Acknowledged, Message

WINDOW: Final = 1_000
"""Messages that the broker has not acknowledged, if it allows so many: a chunk leaves while the next one is claimed."""
TURN_SECONDS: Final = 0.5
ACKNOWLEDGEMENT_SECONDS: Final = 10.0
"""A broker that acknowledges nothing for so long is taken for dead: less than a claim's lease."""
MOST_PACKETS: Final = 1_000

log = structlog.get_logger(__name__)


class MqttPublisher:
    """One thread publishes, another takes acknowledgements; a third, of its own, talks to the broker."""

    def __init__(
        self, *, endpoint: Endpoint, client_id: str, version: Version | None = None, window: int = WINDOW
    ) -> None:
        """Connects. Raises PublisherUnavailable."""
        self._in_flight = 0
        self._lost = ""
        self._room = threading.Condition()
        self._waiting: SimpleQueue[tuple[str, bytes, PushToken]] = SimpleQueue()
        self._acknowledged: SimpleQueue[PushToken] = SimpleQueue()
        self._tokens: dict[int, PushToken] = {}
        self._released = 0
        self._stop = threading.Event()
        self._connection = self._connect(endpoint, client_id, [version] if version else list(Version))
        self._window = min(window, self._connection.receive_maximum)
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def _connect(self, endpoint: Endpoint, client_id: str, versions: Sequence[Version]) -> BrokerConnection:
        for version in versions:
            connection = BrokerConnection(
                endpoint, Identity(client_id), version, on_message=_ignore, on_acknowledged=self._take
            )
            try:
                connection.connect()
            except VersionRefused as error:
                connection.close()
                refusal: BrokerUnavailable = error
            except BrokerUnavailable as error:
                connection.close()
                raise PublisherUnavailable(str(error)) from error
            else:
                return connection
        raise PublisherUnavailable(str(refusal)) from refusal

    # --- the port -----------------------------------------------------------------------------------------------------

    def publish(self, topic: str, payload: bytes, token: PushToken) -> None:
        """Send one message; blocks while the window is full. Raises PublisherUnavailable."""
        with self._room:
            if not self._room.wait_for(self._has_room, ACKNOWLEDGEMENT_SECONDS):
                self._lost = "the broker acknowledges nothing"
            if self._lost:
                raise PublisherUnavailable(self._lost)
            self._in_flight += 1
        self._waiting.put((topic, payload, token))
        self._connection.wake()

    def _has_room(self) -> bool:
        return self._in_flight < self._window or bool(self._lost)

    def take_acknowledged(self, *, timeout_seconds: float) -> Sequence[PushToken]:
        """Tokens acknowledged since the last call; waits up to the timeout for the first."""
        try:
            taken = [self._acknowledged.get(timeout=timeout_seconds)]
        except Empty:
            return []
        while True:
            try:
                taken.append(self._acknowledged.get_nowait())
            except Empty:
                return taken

    def close(self) -> None:
        """Let the connection go, with everything that was not acknowledged."""
        self._stop.set()
        self._connection.wake()
        self._thread.join(TURN_SECONDS * 4)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _take(self, acknowledged: Acknowledged) -> None:
        token = self._tokens.pop(acknowledged.mid, None)
        if token is None:
            return
        self._released += 1
        if acknowledged.is_refused:  # nobody got it: its claim waits for its lease
            log.warning("publisher.refused", task_id=token.task_id)
        else:
            self._acknowledged.put(token)

    def _run(self) -> None:
        reason = "closed"
        try:
            while not self._stop.is_set() and not self._lost:
                self._send_waiting()
                self._connection.turn(timeout_seconds=TURN_SECONDS, most_messages=MOST_PACKETS)
                self._release()
                if self._connection.silent_seconds > ACKNOWLEDGEMENT_SECONDS:
                    reason = "the broker does not answer any more"
                    break
        except BrokerUnavailable as error:
            reason = str(error)
        except BaseException as error:
            reason = repr(error)
            log.critical("publisher.died", exc_info=error)
        finally:
            with self._room:
                self._lost = self._lost or reason
                self._room.notify_all()
            self._connection.close(is_graceful=self._stop.is_set())

    def _send_waiting(self) -> None:
        while True:
            try:
                topic, payload, token = self._waiting.get_nowait()
            except Empty:
                return
            self._tokens[self._connection.publish(topic, payload, 1)] = token

    def _release(self) -> None:
        if self._released:
            with self._room:
                self._in_flight -= self._released
                self._room.notify_all()
            self._released = 0


def _ignore(_message: Message) -> None:
    """This client subscribes to nothing."""


def publisher_by_settings() -> MqttPublisher:
    """A connection of the calling process, under a name of its own; composition roots wire it. As `MqttPublisher`."""
    endpoint = Endpoint.from_url(settings.MQTT_URL, ca_file=settings.MQTT_CA_FILE)
    return MqttPublisher(endpoint=endpoint, client_id=f"ota-publisher-{ids.new_public_id()}")
