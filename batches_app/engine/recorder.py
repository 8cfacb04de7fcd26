"""Recording what the broker acknowledged, beside the push loop and on database connections of its own.

A push counts as sent only here. Must not publish, nor claim.
"""

import threading
import time
from collections.abc import Sequence
from typing import Final

from django.db import connection, transaction

from batches_app.domain.states import PushAcknowledged, Verdict
from batches_app.transitions import Transitions
from devices_app.ports import Clock, Publisher, PushToken
from ota_console.core.db import database_now

WAIT_SECONDS: Final = 0.05
"""How long to wait for a first acknowledgement before the loop looks whether it is to end."""
GATHER_SECONDS: Final = 0.05
"""How long acknowledgements are gathered after the first one, to be recorded in one transaction."""
THREADS: Final = 2
"""Where the database has several writers: a record takes longer than a claim, so one would hold up the loop."""
RECORD_MOST: Final = 1_000
"""Acknowledgements that wait no longer for others."""


def record(tokens: Sequence[PushToken], *, clock: Clock = database_now) -> int:
    """Record pushes that the broker acknowledged, where their claim still stands. Answers how many did."""
    if not tokens:
        return 0
    by_task = {token.task_id: token.push_no for token in tokens}
    with transaction.atomic():
        moves = Transitions(clock())
        recorded = 0
        for task in moves.lock_ids(by_task):
            recorded += moves.apply(task, PushAcknowledged(by_task[task.id])).verdict is Verdict.APPLIED
        moves.flush()
    return recorded


class Recorder:
    """Records acknowledgements beside the claims, in threads with database connections of their own.

    If one fails, `failure` holds why and the loop ends: nothing half-alive.
    """

    def __init__(self, publisher: Publisher, clock: Clock, *, thread_count: int = 1) -> None:
        """Not started yet."""
        self.failure: BaseException | None = None
        self._publisher = publisher
        self._clock = clock
        self._lock = threading.Lock()
        self._expected_count = 0
        self._taken_count = 0
        self._done_count = 0
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self.run, name=f"push-recorder-{number}", daemon=True)
            for number in range(thread_count)
        ]

    def start(self) -> None:
        """Begin to record."""
        for thread in self._threads:
            thread.start()

    def expect(self, count: int) -> None:
        """Called by the loop before a chunk leaves, and with a negative count for what did not."""
        with self._lock:
            self._expected_count += count

    @property
    def unrecorded_count(self) -> int:
        """Pushes that leave or left, and are not recorded yet."""
        return self._expected_count - self._done_count

    def run(self) -> None:
        """One thread's work: until stopped, and then until everything acknowledged is recorded."""
        try:
            while not self._stopping.is_set():
                self._step()
            while self._step():  # asked once more: what came between the last look and the stop counts too
                pass
        except BaseException as failure:  # noqa: BLE001 - handed to the loop, which ends the task
            self.failure = failure
        finally:
            connection.close()

    def _step(self) -> int:
        tokens = self._gather()
        record(tokens, clock=self._clock)
        with self._lock:
            self._done_count += len(tokens)
        return len(tokens)

    def _gather(self) -> list[PushToken]:
        tokens = self._take(WAIT_SECONDS)
        until = time.monotonic() + GATHER_SECONDS
        while tokens and len(tokens) < RECORD_MOST and (left := until - time.monotonic()) > 0:
            if self._taken_count >= self._expected_count or self._stopping.is_set():  # nothing else is on its way
                break
            tokens += self._take(left)
        return tokens

    def _take(self, timeout_seconds: float) -> list[PushToken]:
        tokens = list(self._publisher.take_acknowledged(timeout_seconds=timeout_seconds))
        with self._lock:
            self._taken_count += len(tokens)
        return tokens

    def stop(self, *, timeout_seconds: float) -> None:
        """Record what is acknowledged already and end."""
        self._stopping.set()
        until = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
