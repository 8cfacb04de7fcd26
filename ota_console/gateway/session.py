"""What the gateway must remember of its MQTT session: connections, what was applied already, how long to wait.

A broker delivers again whatever was not acknowledged when a connection ended, marked as a duplicate and under the same
message id. Reports among them that were committed (but not acknowledged in time) are found by their fingerprints and
are not applied again: "v1, v2" repeated after v2 would look like a roll-back. Must not know a framework, a broker's
client or a database.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple
from zlib import crc32

RECEIVE_MAXIMUM: Final = 8_000
"""Unacknowledged messages that we allow the broker: at least twice a micro-batch (hotpath.md)."""
REMEMBERED_MESSAGES: Final = 4 * RECEIVE_MAXIMUM
"""Committed messages whose acknowledgement the broker may have missed are among the last `RECEIVE_MAXIMUM`; the rest is
slack for brokers without that limit."""
FINGERPRINT_BYTES: Final = 6


class Received(NamedTuple):
    """A message as it came. `connection` counts this process's connections: a message id is good on its own only."""

    connection: int
    mid: int
    qos: int
    is_duplicate: bool
    topic: str
    payload: bytes


def fingerprint(message: Received) -> bytes:
    """Message id and checksum of topic and payload: compared only for what the broker marks as a duplicate."""
    checksum = crc32(message.payload, crc32(message.topic.encode("utf-8", "surrogatepass")))
    return message.mid.to_bytes(2, "big") + checksum.to_bytes(4, "big")


def partition_of(topic: str, count: int) -> int:
    """Which of `count` workers applies a message: one device's messages all go to the same, in their order.

    `/sys/{product key}/{device name}/…`; all other topics end in the device's name. Good for one process.
    """
    name = topic.split("/", 4)[3:4] if topic.startswith("/sys/") else topic.rsplit("/", 1)[-1:]
    return hash(name[0]) % count if name else 0


class AcknowledgementOrder:
    """Acknowledgements leave in the order in which their messages came (MQTT 3.1.1 §4.6), whoever settled them first.

    For one connection, used by its thread.
    """

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._waiting: deque[int] = deque()
        self._settled: set[int] = set()

    def came(self, mid: int) -> None:
        """A message at QoS 1."""
        self._waiting.append(mid)

    def settle(self, mids: Iterable[int]) -> list[int]:
        """These may be acknowledged; answers all that may leave now."""
        self._settled.update(mids)
        leaving = []
        while self._waiting and self._waiting[0] in self._settled:
            mid = self._waiting.popleft()
            self._settled.discard(mid)
            leaving.append(mid)
        return leaving


class Journal:
    """The fingerprints of the last committed reports, by the transaction that committed them."""

    def __init__(self, *, capacity: int = REMEMBERED_MESSAGES) -> None:
        """`capacity`: how many fingerprints to keep at least."""
        self._capacity = capacity
        self._entries: deque[tuple[int, frozenset[bytes]]] = deque()
        self._count = 0

    def load(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Start again from stored (entry id, joined fingerprints), oldest first."""
        self._entries.clear()
        self._count = 0
        for entry, joined in entries:
            self.add(entry, joined)

    def add(self, entry: int, joined: bytes) -> int:
        """Remember a committed entry; answers the highest entry id that may be forgotten, 0 for none."""
        marks = frozenset(joined[i : i + FINGERPRINT_BYTES] for i in range(0, len(joined), FINGERPRINT_BYTES))
        self._entries.append((entry, marks))
        self._count += len(marks)
        forgotten = 0
        while self._count - len(self._entries[0][1]) >= self._capacity:
            forgotten, old = self._entries.popleft()
            self._count -= len(old)
        return forgotten

    def was_applied(self, message: Received) -> bool:
        """A redelivery of a committed report. False for first deliveries, whatever their content."""
        if not message.is_duplicate:
            return False
        mark = fingerprint(message)
        return any(mark in marks for _, marks in self._entries)


class Backoff:
    """Waiting times that double from `first_seconds` to `most_seconds`; `reset` after a success."""

    def __init__(self, *, first_seconds: float, most_seconds: float) -> None:
        """Both above zero."""
        self._first = first_seconds
        self._most = most_seconds
        self._next = first_seconds

    @property
    def is_waiting(self) -> bool:
        """There was a failure since the last `reset`."""
        return self._next != self._first

    def next_seconds(self) -> float:
        """How long to wait now."""
        wait = self._next
        self._next = min(self._most, self._next * 2)
        return wait

    def reset(self) -> None:
        """The next wait is the first again."""
        self._next = self._first
