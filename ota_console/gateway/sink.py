"""One database transaction per micro-batch: which messages may be acknowledged, and which replies are due.

Nothing is acknowledged before its commit. A message that cannot be applied is found by halving, counted by reason and
acknowledged; a database that is down, a deadlock or a lock time-out acknowledges nothing and the whole is tried again.
Any other database error is ours (a missing table, say) and ends the process. Must not know a broker.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

import structlog
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
    transaction,
)

from batches_app.engine.ingest import IngestResult, Reply
from devices_app import presence
from devices_app.protocol.parsing import parse
from devices_app.protocol.payloads import Dropped, DropReason, FileDownload, Inbound, LegacyRequest, PullRequest
from ota_console.core.ids import new_public_id
from ota_console.gateway import journal as stored
from ota_console.gateway.session import Backoff, Journal, Received, fingerprint

Apply = Callable[[Sequence[Inbound], datetime], IngestResult]
Answer = TypeVar("Answer")

TRY_AGAIN: Final = (OperationalError, InterfaceError, InternalError)
BAD_DATA: Final = (DataError, IntegrityError)
FIRST_WAIT_SECONDS: Final = 0.05
MOST_WAIT_SECONDS: Final = 5.0
SINGLE_TRIES: Final = 3
"""A lost race looks like bad data (a unique constraint): a single message gets this many chances."""
REQUESTS: Final = (PullRequest, LegacyRequest, FileDownload)
"""What is applied again when it is delivered again, since the reply may have been lost. Nothing else is."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A message and what it says."""

    received: Received
    said: Inbound


@dataclass(slots=True)
class Settled:
    """Committed: acknowledge these, publish those."""

    acknowledged: list[Received] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)


class Stopping(Exception):
    """The process was asked to end while the database was away."""


class Doubt:
    """Devices' sessions are doubted once a connection, before any of the workers applies a message of it."""

    def __init__(self) -> None:
        """Shared by the sinks of a gateway."""
        self._lock = threading.Lock()
        self._connection_no = -1

    def once(self, connection_no: int, work: Callable[[], None]) -> None:
        """Run `work` if this connection is new; whoever comes meanwhile waits for its end."""
        with self._lock:
            if connection_no != self._connection_no:
                work()
                self._connection_no = connection_no


class Sink:
    """Used by one worker thread, with that thread's database connection."""

    def __init__(
        self,
        *,
        apply: Apply,
        clock: Callable[[], datetime],
        holder: str,
        stop: threading.Event,
        worker: int = 0,
        doubt: Doubt | None = None,
    ) -> None:
        """`apply` runs inside the transaction; `holder` is this process in the gateway's lease.

        `worker` numbers the sinks of a gateway, which share one `doubt`.
        """
        self._worker = worker
        self._doubt = doubt or Doubt()
        self._apply = apply
        self._clock = clock
        self._holder = holder
        self._stop = stop
        self._journal = Journal()
        self._forgettable = 0
        self._connection_no = -1
        self._backoff = Backoff(first_seconds=FIRST_WAIT_SECONDS, most_seconds=MOST_WAIT_SECONDS)

    def settle(self, batch: Sequence[Received], *, is_presence_doubtful: bool = False) -> Settled:
        """Apply one micro-batch, all of one connection. Raises LeaseLost, and database errors that are our own.

        `is_presence_doubtful`: the broker may have lost its sessions before this connection.
        """
        settled = Settled()
        try:
            self._begin(batch[0].connection, is_presence_doubtful=is_presence_doubtful)
            self._settle(self._read(batch, settled), settled)
        except Stopping:
            log.info("gateway.unsettled", message_count=len(batch) - len(settled.acknowledged))
        return settled

    def begin(self, connection_no: int, *, is_presence_doubtful: bool) -> None:
        """Call when a connection stands: a broker that lost its sessions may come back to a fleet that stays silent."""
        with suppress(Stopping):
            self._begin(connection_no, is_presence_doubtful=is_presence_doubtful)

    def _begin(self, connection_no: int, *, is_presence_doubtful: bool) -> None:
        """Once a connection. The gateway before us may have committed something until now."""
        if connection_no == self._connection_no:
            return
        self._until_possible(lambda: stored.load(self._journal))
        if is_presence_doubtful:
            self._doubt.once(connection_no, self._doubt_sessions)
        self._connection_no = connection_no

    def _doubt_sessions(self) -> None:
        self._until_possible(lambda: presence.doubt_sessions(self._clock()))

    def _read(self, batch: Sequence[Received], settled: Settled) -> list[Entry]:
        """What is left to apply; reports that were applied already are only acknowledged."""
        entries = []
        for received in batch:
            said = parse(received.topic, received.payload)
            if not isinstance(said, REQUESTS) and self._journal.was_applied(received):
                settled.acknowledged.append(received)
            else:
                entries.append(Entry(received, said))
        return entries

    def _settle(self, entries: Sequence[Entry], settled: Settled) -> None:
        if not entries:
            return
        tries = SINGLE_TRIES if len(entries) == 1 else 1
        for tries_left in reversed(range(tries)):
            try:
                result = self._commit(entries)
            except (stored.LeaseLost, Stopping):
                raise
            except Exception as error:
                if isinstance(error, DatabaseError) and not isinstance(error, BAD_DATA):
                    raise
                if tries_left == 0:
                    self._halve(entries, settled, error)
            else:
                settled.acknowledged += [entry.received for entry in entries]
                settled.replies += result.replies
                return

    def _halve(self, entries: Sequence[Entry], settled: Settled, error: Exception) -> None:
        if len(entries) > 1:
            middle = len(entries) // 2
            self._settle(entries[:middle], settled)
            self._settle(entries[middle:], settled)
            return
        received, said = entries[0].received, entries[0].said
        log.error("gateway.unprocessable", topic=received.topic, payload=repr(received.payload[:200]), exc_info=error)
        if isinstance(said, Dropped):  # not even its count can be written
            settled.acknowledged.append(received)
            return
        dropped = Dropped(DropReason.UNPROCESSABLE, said.product_key, said.device_name, type(error).__name__)
        self._settle([Entry(received, dropped)], settled)

    def _commit(self, entries: Sequence[Entry]) -> IngestResult:
        said = [entry.said for entry in entries]
        marks = b"".join(fingerprint(entry.received) for entry in entries if not isinstance(entry.said, REQUESTS))
        token = new_public_id(self._clock())
        entry_id, result = self._until_possible(lambda: self._transaction(said, marks, token))
        self._forgettable = self._journal.add(entry_id, marks)
        return result

    def _transaction(self, said: Sequence[Inbound], marks: bytes, token: str) -> tuple[int, IngestResult]:
        committed = stored.find(token) if self._backoff.is_waiting else None
        if committed is not None:  # the commit arrived, its confirmation did not
            return committed, IngestResult()
        now = self._clock()
        with transaction.atomic():
            result = self._apply(said, now)
            entry_id = stored.write(token=token, worker=self._worker, fingerprints=marks, holder=self._holder)
            if self._forgettable:
                stored.forget(self._forgettable, worker=self._worker)
        return entry_id, result

    def _until_possible(self, work: Callable[[], Answer]) -> Answer:
        while True:
            try:
                answer = work()
            except TRY_AGAIN as error:
                wait = self._backoff.next_seconds()
                log.warning("gateway.database_away", error=str(error).strip(), wait_seconds=wait)
                connection.close()
                if self._stop.wait(wait):
                    raise Stopping from error
            else:
                self._backoff.reset()
                return answer
