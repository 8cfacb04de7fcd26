"""What the engine needs of the outside, as protocols; the composition roots wire adapters to them, tests wire fakes."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

Clock = Callable[[], datetime]
"""Answers the present, aware UTC."""


class PushToken(NamedTuple):
    """Which claim a publication belongs to."""

    task_id: int
    push_no: int


class PublisherUnavailable(Exception):
    """The broker is away or does not acknowledge; what was not acknowledged waits for its lease."""


class Publisher(Protocol):
    """Sends notifications to devices at QoS 1 with a bounded window, and says which ones the broker acknowledged."""

    def publish(self, topic: str, payload: bytes, token: PushToken) -> None:
        """Send one message; blocks while the window is full. Raises PublisherUnavailable."""

    def take_acknowledged(self, *, timeout_seconds: float) -> Sequence[PushToken]:
        """Tokens acknowledged since the last call; waits up to the timeout for the first."""

    def close(self) -> None:
        """Let the connection go, with everything that was not acknowledged."""


class PublisherFactory(Protocol):
    """Makes a publisher for the calling process."""

    def __call__(self) -> Publisher:
        """Connect. Raises PublisherUnavailable."""


class SessionEnder(Protocol):
    """Tells the broker that a device may not stay connected; the device's next log-in is judged anew."""

    def __call__(self, product_key: str, device_name: str, /) -> None:
        """Return once the broker has it, whatever it makes of it. Raises PublisherUnavailable."""


class _Wiring:
    """What the composition root chose."""

    publisher: PublisherFactory | None = None
    session_ender: SessionEnder | None = None


def wire_publisher(factory: PublisherFactory) -> None:
    """Called once by a composition root."""
    _Wiring.publisher = factory


def open_publisher() -> Publisher:
    """A publisher of the wired kind. Raises PublisherUnavailable, also where nothing was wired."""
    if _Wiring.publisher is None:
        message = "No publisher is wired in this process."
        raise PublisherUnavailable(message)
    return _Wiring.publisher()


def wire_session_ender(ender: SessionEnder | None) -> None:
    """Called once by a composition root; None takes it back."""
    _Wiring.session_ender = ender


def end_session(product_key: str, device_name: str) -> None:
    """Ask the wired broker. Raises PublisherUnavailable, also where nothing was wired."""
    if _Wiring.session_ender is None:
        message = "Nobody is wired in this process who could end a session."
        raise PublisherUnavailable(message)
    _Wiring.session_ender(product_key, device_name)
