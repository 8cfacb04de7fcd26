"""From the outbox to the sinks: a round reads unsent rows in their order, hands them to every sink, marks them sent.

At least once: a crash between sending and marking sends again. Rows are found by "not sent", never by a cursor, so that
a transaction that commits late is not skipped. Must not know what events mean.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from ota_console.core import leases
from ota_console.outbox.events import Event
from ota_console.outbox.models import OutboxMessage

ROUND_ROWS: Final = 200
"""Rows in one round: a row of a full micro-batch has some 75 kB."""
TICK_SECONDS: Final = 0.25
"""A round starts at most this often while it keeps up: live pages get at most four messages a second for each batch."""
KEEP: Final = timedelta(seconds=60)
"""Sent rows are kept so long, for people who look for a fault."""
TRIM_ROWS: Final = 500
TRIM_SECONDS: Final = 5.0
LEASE_SECONDS: Final = 10.0
RENEW_SECONDS: Final = 2.5

log = structlog.get_logger(__name__)


class Sink(Protocol):
    """Where events go. Must take the same events again without harm."""

    name: str

    def send(self, events: Sequence[Event]) -> None:
        """Deliver, or raise: then the round's rows stay unsent and come again."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did."""

    row_count: int = 0
    is_failed: bool = False

    @property
    def is_full(self) -> bool:
        """More rows wait."""
        return self.row_count >= ROUND_ROWS and not self.is_failed


def lease_name(partition: int) -> str:
    """One relay per partition: order per device holds."""
    return f"outbox:relay:{partition}"


def relay_once(*, partition: int, sinks: Sequence[Sink], clock: Callable[[], datetime]) -> Round:
    """One round. A sink that fails is logged; nothing is marked then, and the other sinks may see the events again."""
    unsent = OutboxMessage.objects.filter(partition=partition, sent_at__isnull=True).order_by("id")
    rows = list(unsent.values_list("id", "events")[:ROUND_ROWS])
    if not rows:
        return Round()
    events = [event for _, listed in rows for event in listed]
    for sink in sinks:
        try:
            sink.send(events)
        except Exception as error:  # noqa: BLE001 - whatever it is, the rows stay unsent and come again
            log.warning("outbox.sink_failed", sink=sink.name, row_count=len(rows), error=repr(error))
            return Round(len(rows), is_failed=True)
    OutboxMessage.objects.filter(pk__in=[row[0] for row in rows]).update(sent_at=clock())
    return Round(len(rows))


def trim_once(*, now: datetime, limit: int = TRIM_ROWS) -> int:
    """Delete one slice of rows that were sent a while ago; answers how many there were."""
    old = OutboxMessage.objects.filter(sent_at__lt=now - KEEP).order_by("id").values_list("id", flat=True)
    ids = list(old[:limit])
    return OutboxMessage.objects.filter(pk__in=ids).delete()[0] if ids else 0


class Relay:
    """Drives one partition for a while, under its lease."""

    def __init__(
        self,
        *,
        partition: int,
        sinks: Sequence[Sink],
        holder: str,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        wait: Callable[[float], object],
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        """`wait` pauses for seconds; `is_ending` is asked between rounds; `holder` names this process in the lease."""
        self._partition = partition
        self._sinks = sinks
        self._holder = holder
        self._clock = clock
        self._monotonic = monotonic
        self._wait = wait
        self._is_ending = is_ending
        self._renew_at = 0.0
        self._trim_at = 0.0
        self._heartbeat = leases.Heartbeat("relay", clock=clock, monotonic=monotonic)

    def run(self, *, seconds: float) -> int:
        """Rounds until the time is over or the lease is somebody else's; answers how many rows were sent."""
        sent = 0
        until = self._monotonic() + seconds
        try:
            while (started := self._monotonic()) < until and not self._is_ending() and self._holds_lease(started):
                done = relay_once(partition=self._partition, sinks=self._sinks, clock=self._clock)
                if not done.is_failed:
                    sent += done.row_count
                    self._heartbeat.beat()
                self._trim(started)
                if not done.is_full:
                    self._wait(max(0.0, started + TICK_SECONDS - self._monotonic()))
        finally:
            leases.release(lease_name(self._partition), self._holder)
        return sent

    def _holds_lease(self, moment: float) -> bool:
        if moment < self._renew_at:
            return True
        self._renew_at = moment + RENEW_SECONDS
        return leases.acquire(lease_name(self._partition), self._holder, LEASE_SECONDS, self._clock())

    def _trim(self, moment: float) -> None:
        if moment >= self._trim_at:
            is_full = trim_once(now=self._clock()) == TRIM_ROWS
            self._trim_at = moment if is_full else moment + TRIM_SECONDS
