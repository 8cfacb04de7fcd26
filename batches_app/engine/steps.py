"""The loop around bounded steps: until there is no more to do, the time is up, or another worker took over.

It knows no rules.
"""

import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Final, Self, TypeVar

from django.db import IntegrityError, OperationalError

from ota_console.core import leases
from ota_console.core.ids import new_public_id

RETRIED_STATES: Final = frozenset({"40P01", "40001", "55P03"})
"""PostgreSQL: deadlock, serialization failure, lock not available.

The transaction is gone; the same step is done again.
"""
ATTEMPTS: Final = 5
LEASE_SECONDS: Final = 20.0
"""How long the work of a worker that was killed waits for the next one."""
RENEW_SECONDS: Final = 5.0

T = TypeVar("T")


class StepChanged(Exception):
    """The rows moved between a step's locks and its writes.

    The transaction is rolled back and the step is done again.
    """


class Turn:
    """A lease that is kept while its holder works; two holders at once would do no harm, only waste (architecture).

    `with Turn(name, clock) as turn:` and ask `turn.is_mine()` before each step.
    """

    def __init__(self, name: str, clock: Callable[[], datetime]) -> None:
        self._name = name
        self._clock = clock
        self._holder = new_public_id(clock())
        self._renewed_at: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewed_at is not None:
            leases.release(self._name, self._holder)

    def is_mine(self) -> bool:
        """Take or keep the lease; False where another worker has it."""
        at = time.monotonic()
        if self._renewed_at is not None and at - self._renewed_at < RENEW_SECONDS:
            return True
        if not leases.acquire(self._name, self._holder, LEASE_SECONDS, self._clock()):
            self._renewed_at = None
            return False
        self._renewed_at = at
        return True


def run_alone(name: str, step: Callable[[], bool], *, clock: Callable[[], datetime], seconds: float) -> bool:
    """Do steps under a lease until one says that there is no more, or until the time is up; whether work is left."""
    until = time.monotonic() + seconds
    with Turn(name, clock) as turn:
        while turn.is_mine():
            if not again(step):
                return False
            if time.monotonic() >= until:
                return True
    return False


def again(step: Callable[[], T]) -> T:
    """Do a step whose transaction may lose a race against another one; the last loss is raised."""
    for _ in range(ATTEMPTS - 1):
        try:
            return step()
        except (StepChanged, IntegrityError):
            continue
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in RETRIED_STATES:
                raise
    return step()
