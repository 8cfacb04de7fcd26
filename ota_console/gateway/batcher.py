"""Gathering messages into micro-batches: a bounded queue between the network thread and the worker thread.

A micro-batch ends when the queue runs dry, at `MAX_MESSAGES`, or `MAX_SECONDS` after its first message, whichever is
first (hotpath.md): under load batches grow by themselves, when it is quiet nothing waits. Must not know a framework, a
broker or what is in a message.
"""

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

MAX_MESSAGES: Final = 2_000
"""Messages in one transaction: more gains nothing, and locks rows for longer (hotpath.md)."""
MAX_SECONDS: Final = 0.02
MAX_WAITING: Final = 8_000
"""Messages in hand that no transaction has taken yet: as many as the broker may leave unacknowledged."""

Item = TypeVar("Item")


class Batcher(Generic[Item]):
    """A first-in-first-out queue with a bound; one thread puts, one thread gathers."""

    def __init__(
        self,
        *,
        max_messages: int = MAX_MESSAGES,
        max_seconds: float = MAX_SECONDS,
        max_waiting: int = MAX_WAITING,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """All bounds are at least 1 message; `monotonic` answers seconds."""
        self._queue: SimpleQueue[Item] = SimpleQueue()
        self._max_messages = max_messages
        self._max_seconds = max_seconds
        self._max_waiting = max_waiting
        self._monotonic = monotonic

    @property
    def room(self) -> int:
        """How many more items fit. Who puts looks before he reads from the network: what does not fit stays there."""
        return self._max_waiting - self._queue.qsize()

    def put(self, item: Item) -> bool:
        """Queue an item; False, and nothing queued, when there is no room."""
        if self._queue.qsize() >= self._max_waiting:
            return False
        self._queue.put(item)
        return True

    def gather(self, *, timeout_seconds: float) -> list[Item]:
        """The next micro-batch, in the order of arrival; empty if nothing came within the timeout."""
        try:
            gathered = [self._queue.get(timeout=timeout_seconds)]
        except Empty:
            return []
        until = self._monotonic() + self._max_seconds
        while len(gathered) < self._max_messages and self._monotonic() < until:
            try:
                gathered.append(self._queue.get_nowait())
            except Empty:
                break
        return gathered
