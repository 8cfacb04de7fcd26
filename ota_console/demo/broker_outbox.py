"""Messages on their way to one client: a window of unacknowledged ones, a queue behind it, and what to send again.

amqtt's own flow gives a message up when its acknowledgement takes five seconds, and a gateway acknowledges only after
its commit; so this part is ours. Pure: it answers packets, the connection writes them.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from amqtt.mqtt.publish import PublishPacket

_LAST_PACKET_ID: Final = 65_535


@dataclass(frozen=True, slots=True)
class Message:
    """What a client published, or the broker itself."""

    topic: str
    payload: bytes
    qos: int

    def packet(self, packet_id: int | None, *, is_duplicate: bool = False) -> bytes:
        """As bytes for the wire; without an id it is QoS 0."""
        qos = 0 if packet_id is None else 1
        packet = PublishPacket.build(self.topic, self.payload, packet_id, is_duplicate, qos, retain=False)
        return bytes(packet.to_bytes())


@dataclass(frozen=True, slots=True)
class Limits:
    """How many messages may be unacknowledged, and how many may wait behind them."""

    window: int
    queue: int


DEVICE: Final = Limits(window=100, queue=1_000)
"""A device has one or two messages under way; one that acknowledges nothing must not fill the memory."""
SERVER: Final = Limits(window=10_000, queue=200_000)
"""More than a gateway's largest micro-batches; the queue holds some minutes of a demo fleet while a gateway is away."""


class Outbox:
    """QoS 1 deliveries to one client, in order, across its connections if the session is kept."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._unacknowledged: dict[int, Message] = {}
        self._waiting: deque[Message] = deque()
        self._last_id = 0
        self.lost_count = 0

    def offer(self, message: Message, *, is_connected: bool) -> list[bytes]:
        """Take a QoS 1 message; answers what to write now. A full queue loses the newest and counts it."""
        if len(self._waiting) >= self._limits.queue:
            self.lost_count += 1
            return []
        self._waiting.append(message)
        return self._fill() if is_connected else []

    def acknowledged(self, packet_id: int) -> list[bytes]:
        """The client has this one; answers what to write now."""
        self._unacknowledged.pop(packet_id, None)
        return self._fill()

    def resume(self) -> list[bytes]:
        """The client is back: everything unacknowledged again, as duplicates and in order, then what waited."""
        again = [message.packet(number, is_duplicate=True) for number, message in self._unacknowledged.items()]
        return again + self._fill()

    def _fill(self) -> list[bytes]:
        packets = []
        while self._waiting and len(self._unacknowledged) < self._limits.window:
            message = self._waiting.popleft()
            packet_id = self._next_id()
            self._unacknowledged[packet_id] = message
            packets.append(message.packet(packet_id))
        return packets

    def _next_id(self) -> int:
        """The window is smaller than the range of ids, so a free one is always near."""
        while True:
            self._last_id = self._last_id % _LAST_PACKET_ID + 1
            if self._last_id not in self._unacknowledged:
                return self._last_id
