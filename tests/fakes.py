"""Stand-ins for our own ports; `tests/faults` and `tests/flows` use the real ones."""

from collections.abc import Sequence
from queue import Empty, SimpleQueue

from devices_app.ports import PublisherUnavailable, PushToken


class FakePublisher:
    """A broker that takes everything and acknowledges when told: at once, or on `acknowledge`."""

    def __init__(self, *, is_prompt: bool = True, capacity: int | None = None) -> None:
        """`capacity`: so many publications, then the broker is away."""
        self.sent: list[tuple[str, bytes, PushToken]] = []
        self._waiting: list[PushToken] = []
        self._acknowledged: SimpleQueue[PushToken] = SimpleQueue()
        self._is_prompt = is_prompt
        self._capacity = capacity

    def publish(self, topic: str, payload: bytes, token: PushToken) -> None:
        """Take a message."""
        if self._capacity is not None and len(self.sent) >= self._capacity:
            message = "the broker went away"
            raise PublisherUnavailable(message)
        self.sent.append((topic, payload, token))
        self._waiting.append(token)
        if self._is_prompt:
            self.acknowledge()

    def acknowledge(self) -> None:
        """Acknowledge what waits."""
        for token in self._waiting:
            self._acknowledged.put(token)
        self._waiting = []

    def take_acknowledged(self, *, timeout_seconds: float = 0.001) -> Sequence[PushToken]:
        """What was acknowledged since the last call; waits for the first."""
        taken: list[PushToken] = []
        while True:
            try:
                taken.append(self._acknowledged.get(timeout=0.0 if taken else timeout_seconds))
            except Empty:
                return taken

    def close(self) -> None:
        """Forget everything."""
        self._waiting = []
