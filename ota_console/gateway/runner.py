"""The gateway process: a network thread, worker threads, and this one, which watches them and holds the leases.

One gateway is active at a time; others stand by and take over within seconds. A thread that dies takes the process down
with a clear log line, and the supervisor starts it again: nothing half-alive. Must not parse, decide or write facts.
"""

import os
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from django.db import DatabaseError, connection

from ota_console.core import clock, leases
from ota_console.core.db import is_postgresql
from ota_console.gateway.adapter import Endpoint, Version
from ota_console.gateway.batcher import Batcher
from ota_console.gateway.journal import LEASE_NAME
from ota_console.gateway.link import BrokerLink
from ota_console.gateway.session import Received
from ota_console.gateway.sink import Apply, Doubt, Sink

LEASE_SECONDS: Final = 6.0
"""How long a gateway that vanished keeps its standby waiting."""
RENEW_SECONDS: Final = 1.5
HEARTBEAT_NAME: Final = "heartbeat:gateway"
HEARTBEAT_SECONDS: Final = 15.0
BEAT_SECONDS: Final = 5.0
GATHER_SECONDS: Final = 0.5
WORKERS: Final = 2
"""Threads that apply messages, each for its share of the devices: one decides while the other's SQL runs (hot path).

More gain nothing: Python runs one at a time. SQLite has one writer, so it gets one worker.
"""
SQLITE_PAUSE_SECONDS: Final = 0.005
"""SQLite has one writer: a gateway that never pauses would starve the others (hotpath.md)."""
FINISH_SECONDS: Final = 10.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """What differs between installations."""

    endpoint: Endpoint
    client_id: str
    version: Version | None = None


class Worker(threading.Thread):
    """Micro-batches from the batcher through the sink, on a database connection of its own."""

    def __init__(
        self, *, number: int, batcher: Batcher[Received], sink: Sink, link: BrokerLink, stop: threading.Event
    ) -> None:
        super().__init__(name=f"gateway-worker-{number}", daemon=True)
        self.failure: BaseException | None = None
        self.settled_count = 0
        """Messages that were acknowledged."""
        self._batcher = batcher
        self._sink = sink
        self._link = link
        self._stopping = stop

    def run(self) -> None:
        """Until stopped; what is in hand then is still committed and acknowledged."""
        try:
            pause_seconds = 0.0 if is_postgresql() else SQLITE_PAUSE_SECONDS
            while not self._stopping.is_set():
                if self.step() and pause_seconds:
                    self._stopping.wait(pause_seconds)
        except BaseException as failure:  # noqa: BLE001 - the runner takes the process down with it
            self.failure = failure
        finally:
            connection.close()

    def step(self) -> int:
        """One micro-batch; answers how many messages it had."""
        gathered = self._batcher.gather(timeout_seconds=GATHER_SECONDS)
        connection_no = self._link.connection_no
        batch = [received for received in gathered if received.connection == connection_no]
        stands = self._link.is_connected and self._link.connection_no == connection_no
        # read after `stands`: the link sets it before
        is_doubtful = connection_no == self._link.doubtful_connection_no
        if stands:
            self._sink.begin(connection_no, is_presence_doubtful=is_doubtful)
        if batch:
            settled = self._sink.settle(batch, is_presence_doubtful=is_doubtful)
            self.settled_count += len(settled.acknowledged)
            self._link.finish(connection_no=connection_no, replies=settled.replies, acknowledged=settled.acknowledged)
        return len(batch)


class Gateway:
    """Call `run` in the main thread; `stop` from a signal handler."""

    def __init__(self, *, config: GatewayConfig, apply: Apply, clock: Callable[[], datetime], holder: str = "") -> None:
        """`apply` is the engine's ingest; `holder` names this process in leases (default: host and process id)."""
        self._config = config
        self._apply = apply
        self._clock = clock
        self._holder = holder or f"{socket.gethostname()[:40]}:{os.getpid()}"
        self._stopping = threading.Event()
        self._beats_until_heartbeat = 0
        self._was_answered = False
        self._link: BrokerLink | None = None
        self._workers: list[Worker] = []

    @property
    def is_connected(self) -> bool:
        """This gateway is the active one, and the broker has taken it."""
        return self._link is not None and self._link.is_connected

    @property
    def settled_count(self) -> int:
        """Messages that were committed and acknowledged."""
        return sum(worker.settled_count for worker in self._workers)

    def stop(self) -> None:
        """Finish what is in hand and end."""
        self._stopping.set()

    def run(self) -> int:
        """Stand by, then work. Answers the process's exit code: 0 when stopped, 1 when something failed."""
        if not self._stand_by():
            return 0
        batchers = [Batcher[Received]() for _ in range(WORKERS if is_postgresql() else 1)]
        link = self._link = self._make_link(batchers)
        workers = self._workers = self._make_workers(link, batchers)
        log.info("gateway.active", holder=self._holder)
        for thread in (link, *workers):
            thread.start()
        is_well = self._watch(link, *workers)
        self._finish(link, workers)
        if is_well or not any(worker.is_alive() for worker in workers):
            self._release()
        log.info("gateway.stopped")
        return 0 if is_well else 1

    def _make_link(self, batchers: Sequence[Batcher[Received]]) -> BrokerLink:
        config = self._config
        return BrokerLink(
            endpoint=config.endpoint, client_id=config.client_id, batchers=batchers, version=config.version
        )

    def _make_workers(self, link: BrokerLink, batchers: Sequence[Batcher[Received]]) -> list[Worker]:
        doubt = Doubt()
        workers = []
        for number, batcher in enumerate(batchers):
            sink = Sink(
                apply=self._apply,
                clock=self._clock,
                holder=self._holder,
                stop=self._stopping,
                worker=number,
                doubt=doubt,
            )
            workers.append(Worker(number=number, batcher=batcher, sink=sink, link=link, stop=self._stopping))
        return workers

    def _stand_by(self) -> bool:
        """Wait for the lease; False when stopped before it came."""
        is_announced = False
        while not self._stopping.is_set():
            if self._acquire(LEASE_NAME, LEASE_SECONDS):
                return True
            if not is_announced:
                log.info("gateway.standby", holder=self._holder)
                is_announced = True
            self._stopping.wait(1.0)
        return False

    def _acquire(self, name: str, seconds: float) -> bool | None:
        """None: the database did not answer."""
        try:
            return leases.acquire(name, self._holder, seconds, self._clock())
        except DatabaseError as error:
            log.warning("gateway.lease_unknown", lease=name, error=str(error).strip())
            connection.close()
            return None

    def _watch(self, link: BrokerLink, *workers: Worker) -> bool:
        """Until stopped (True), or until a thread died or the lease is lost (False)."""
        threads: list[BrokerLink | Worker] = [link, *workers]
        while not self._stopping.wait(RENEW_SECONDS):
            for thread in threads:
                if not thread.is_alive():
                    log.critical("gateway.thread_died", thread=thread.name, exc_info=thread.failure)
                    return False
            if self._acquire(LEASE_NAME, LEASE_SECONDS) is False:
                log.critical("gateway.lease_lost", holder=self._holder)
                return False
            self._beat(is_answered=link.is_answered)
        return True

    def _beat(self, *, is_answered: bool) -> None:
        """Tell health checks whether a gateway works: at once where that changed, else now and then."""
        if self._beats_until_heartbeat <= 0 or is_answered != self._was_answered:
            self._was_answered = is_answered
            self._beats_until_heartbeat = round(BEAT_SECONDS / RENEW_SECONDS)
            self._acquire(HEARTBEAT_NAME, HEARTBEAT_SECONDS if is_answered else 0.0)
        self._beats_until_heartbeat -= 1

    def _finish(self, link: BrokerLink, workers: Sequence[Worker]) -> None:
        """The workers commit what they have, then the link acknowledges it and says goodbye."""
        self._stopping.set()
        link.stop_reading()
        until = clock.monotonic() + FINISH_SECONDS
        for worker in workers:
            worker.join(max(0.0, until - clock.monotonic()))
        link.stop()
        link.join(FINISH_SECONDS)

    def _release(self) -> None:
        """A standby need not wait for the lease to run out."""
        with suppress(DatabaseError):
            leases.release(HEARTBEAT_NAME, self._holder)
            leases.release(LEASE_NAME, self._holder)
        connection.close()
