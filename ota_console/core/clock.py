"""The one source of time. Everything else takes `now` as an argument, so that tests decide what time it is.

This module reaches no framework. Where several machines must agree, `ota_console.core.db.database_now` is the clock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(tz=UTC)


def monotonic() -> float:
    """Seconds of a clock that never goes back; only differences mean something."""
    return time.monotonic()


@dataclass(slots=True)
class FakeClock:
    """A clock that stands still until it is told to move; callable like `now`."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> datetime:
        self.at += timedelta(seconds=seconds, minutes=minutes, hours=hours)
        return self.at
