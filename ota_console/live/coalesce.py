"""The last value of each key, released at a bounded rate: what a slow or busy watcher gets instead of everything.

Pure: time comes in as seconds of a monotonic clock. Must not know a framework, a socket or what the values mean.
"""

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

INTERVAL_SECONDS: Final = 0.25
"""At most four frames a second for each key."""
MOST_KEYS: Final = 500
"""Keys that may wait; above it the coalescer overflows, and the watcher reads everything it shows again."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Coalescer(Generic[Key, Value]):
    """Offer values as they come, take those that are due."""

    def __init__(self, *, interval_seconds: float = INTERVAL_SECONDS, most_keys: int = MOST_KEYS) -> None:
        """Both above zero."""
        self._interval = interval_seconds
        self._most_keys = most_keys
        self._waiting: dict[Key, Value] = {}
        self._released_at: dict[Key, float] = {}
        self.has_overflowed = False
        """A value was refused since the last `clear`."""

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, key: Key, value: Value) -> None:
        """Keep this value for the key instead of an older one. A new key is refused when too many wait."""
        if key not in self._waiting and len(self._waiting) >= self._most_keys:
            self.has_overflowed = True
            return
        self._waiting[key] = value

    def take(self, at: float) -> dict[Key, Value]:
        """The values that are due now, in the order in which their keys began to wait."""
        self._forget(at)
        due = {key: value for key, value in self._waiting.items() if key not in self._released_at}
        for key in due:
            del self._waiting[key]
            self._released_at[key] = at
        return due

    def next_at(self) -> float | None:
        """When something will be due; None while nothing waits."""
        if not self._waiting:
            return None
        return min(self._released_at.get(key, float("-inf")) for key in self._waiting) + self._interval

    def clear(self) -> None:
        """Forget everything, the rate included: the watcher looks at something else now."""
        self._waiting.clear()
        self._released_at.clear()
        self.has_overflowed = False

    def _forget(self, at: float) -> None:
        over = [key for key, released in self._released_at.items() if released + self._interval <= at]
        for key in over:
            del self._released_at[key]
