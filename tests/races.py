"""Races in lock-step on PostgreSQL: one side stands between its last write and its commit while the other runs into it.

No side ever sleeps: what a backend waits for is read from `pg_stat_activity`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Final, Generic, TypeVar

from django.db import connection, transaction
from django.db.models import Model, QuerySet

from batches_app.domain.states import FAILED, QUEUED, Reason
from batches_app.engine.launch import launch_once
from batches_app.engine.steps import again
from batches_app.models import Batch, BatchCounts, Task
from tests.factories import NOW
from tests.servers import wait_until

SECONDS: Final = 20
"""What a race may take on a busy machine."""

T = TypeVar("T")
U = TypeVar("U")
M = TypeVar("M", bound=Model)


class Side(threading.Thread, Generic[T]):
    """One side of a race: a function on a database connection of its own. Starts at once."""

    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._backend: int | None = None
        self.start()

    def run(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                self._backend = cursor.fetchone()[0]
            self._result.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again by `finish`
            self._error = error
        finally:
            connection.close()

    def wait_until_blocked(self) -> None:
        """Return when this side waits for a lock of another one."""

        def is_settled() -> bool:
            return not self.is_alive() or self._waits_for_a_lock()

        assert wait_until(is_settled, SECONDS)
        assert self.is_alive(), f"this side did not have to wait: {self._result} {self._error!r}"

    def _waits_for_a_lock(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity a WHERE a.pid = %s AND a.wait_event_type = 'Lock' "
                "AND cardinality(pg_blocking_pids(a.pid)) > 0",
                (self._backend,),
            )
            return cursor.fetchone() is not None

    def finish(self) -> T:
        """The result; what the work raised is raised here."""
        self.join(SECONDS)
        assert not self.is_alive(), "this side does not end"
        if self._error is not None:
            raise self._error
        return self._result[0]


class Held(Generic[T]):
    """Work that is done and not committed yet."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._is_done = threading.Event()
        self._may_commit = threading.Event()
        self._work = work
        self._side = Side(self._hold)
        assert wait_until(lambda: self._is_done.is_set() or not self._side.is_alive(), SECONDS)
        if not self._side.is_alive():
            self._side.finish()

    def _hold(self) -> T:
        with transaction.atomic():
            result = self._work()
            self._is_done.set()
            assert self._may_commit.wait(SECONDS * 2), "nobody let this side commit"
        return result

    def commit(self) -> T:
        """Let it commit; the work's result."""
        self._may_commit.set()
        return self._side.finish()


def race(first: Callable[[], T], second: Callable[[], U]) -> tuple[T, U]:
    """`first` has written and not committed when `second` comes and has to wait; then both go through."""
    leader = Held(first)
    try:
        follower = Side(second)
        follower.wait_until_blocked()
    finally:
        result = leader.commit()
    return result, follower.finish()


@contextmanager
def rows_locked(rows: QuerySet[M]) -> Iterator[None]:
    """A gate: whoever wants to write one of these rows waits until the end of the block."""
    gate = Held(lambda: list(rows.select_for_update()))
    try:
        yield
    finally:
        gate.commit()


def all_at_once(*works: Callable[[], T]) -> list[T]:
    """Start all sides at the same moment and let them run free."""
    barrier = threading.Barrier(len(works))

    def started(work: Callable[[], T]) -> Callable[[], T]:
        def run() -> T:
            barrier.wait(SECONDS)
            return work()

        return run

    return [side.finish() for side in [Side(started(work)) for work in works]]


# --- Batches in a race ------------------------------------------------------------------------------------------------


def writes_slices(batch: Batch) -> Callable[[], None]:
    """A worker that carries out a launch."""

    def work() -> None:
        while again(partial(launch_once, batch_id=batch.pk, now=NOW)):
            pass

    return work


def counters_locked(batch: Batch) -> AbstractContextManager[None]:
    """Who has written tasks of the batch waits, with all that it has locked, before it counts them."""
    return rows_locked(BatchCounts.objects.filter(batch=batch))


def assert_one_lane_each(device_count: int) -> None:
    """Of two batches over these devices, each device is in one, and failed in the other as its conflict."""
    assert Task.objects.count() == 2 * device_count
    waiting = Task.objects.filter(status=QUEUED)
    lost = Task.objects.filter(status=FAILED, reason=Reason.CONFLICT)
    assert waiting.values("device").distinct().count() == waiting.count() == lost.count() == device_count
    assert all(task.blocker is not None and task.blocker.device_id == task.device_id for task in lost)
