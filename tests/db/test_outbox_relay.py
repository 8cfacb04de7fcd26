"""The way out of the database: everything that was committed, in order per partition, at least once."""

import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db import connection, transaction

from ota_console.core import leases
from ota_console.core.clock import FakeClock
from ota_console.outbox import commands, events
from ota_console.outbox.models import OutboxMessage
from ota_console.outbox.relay import KEEP, ROUND_ROWS, Relay, Round, lease_name, relay_once, trim_once

pytestmark = pytest.mark.django_db(transaction=True)


class Remembering:
    """A sink that keeps what it gets, and fails as often as told."""

    name = "remembering"

    def __init__(self, *, failures: int = 0) -> None:
        self.events: list[events.Event] = []
        self.failures = failures

    def send(self, told: Sequence[events.Event]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("away")
        self.events += told

    @property
    def batches(self) -> list[str]:
        return [event["batch"] for event in self.events]


def tell(clock: FakeClock, *batches: str) -> None:
    for batch in batches:
        commands.append(events=[events.batch_changed(batch=batch, package="p")], now=clock())


def test_events_leave_in_order_and_once(clock: FakeClock) -> None:
    """A second round finds nothing."""
    tell(clock, "a", "b", "c")
    sink = Remembering()
    assert relay_once(partition=0, sinks=[sink], clock=clock) == Round(3)
    assert relay_once(partition=0, sinks=[sink], clock=clock) == Round(0)
    assert sink.batches == ["a", "b", "c"]
    assert set(OutboxMessage.objects.values_list("sent_at", flat=True)) == {clock()}


def test_nothing_to_tell_writes_no_row(clock: FakeClock) -> None:
    """A transaction that changed nothing costs nothing."""
    commands.append(events=[], now=clock())
    assert not OutboxMessage.objects.exists()


def test_what_a_transaction_undoes_is_never_told(clock: FakeClock) -> None:
    """Events ride in the transaction of their facts."""
    with transaction.atomic():
        tell(clock, "a")
        transaction.set_rollback(True)
    sink = Remembering()
    relay_once(partition=0, sinks=[sink], clock=clock)
    assert sink.events == []


def test_a_sink_that_is_away_gets_everything_later(clock: FakeClock) -> None:
    """Nothing is marked before every sink has it; another sink may see it twice."""
    tell(clock, "a")
    first, second = Remembering(), Remembering(failures=1)
    assert relay_once(partition=0, sinks=[first, second], clock=clock).is_failed
    assert not relay_once(partition=0, sinks=[first, second], clock=clock).is_failed
    assert first.batches == ["a", "a"]
    assert second.batches == ["a"]


def test_a_crash_between_sending_and_marking_sends_again(clock: FakeClock) -> None:
    """At least once: the next relay finds the row unsent."""
    tell(clock, "a")

    def crash() -> object:
        raise KeyboardInterrupt

    sink = Remembering()
    with pytest.raises(KeyboardInterrupt):
        relay_once(partition=0, sinks=[sink], clock=crash)  # type: ignore[arg-type] # it never answers
    relay_once(partition=0, sinks=[sink], clock=clock)
    assert sink.batches == ["a", "a"]


def test_a_transaction_that_commits_late_is_not_skipped(clock: FakeClock, is_postgresql: bool) -> None:  # noqa: FBT001
    """Its row has a smaller id than rows that left already; it is found by being unsent."""
    written, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            tell(clock, "slow")
            written.set()
            may_commit.wait(10)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    written.wait(10)
    sink = Remembering()
    if is_postgresql:  # SQLite has one writer: nobody can overtake there
        tell(clock, "quick")
        relay_once(partition=0, sinks=[sink], clock=clock)
    may_commit.set()
    thread.join()
    relay_once(partition=0, sinks=[sink], clock=clock)
    assert sink.batches == (["quick", "slow"] if is_postgresql else ["slow"])


def test_a_round_is_bounded_and_says_that_more_waits(clock: FakeClock) -> None:
    """However much gathered while a sink was away, one round takes a bounded part of it."""
    tell(clock, *["a"] * (ROUND_ROWS + 1))
    sink = Remembering()
    assert relay_once(partition=0, sinks=[sink], clock=clock).is_full
    assert not relay_once(partition=0, sinks=[sink], clock=clock).is_full
    assert len(sink.events) == ROUND_ROWS + 1


def test_old_sent_rows_are_trimmed_in_slices_and_unsent_ones_never(clock: FakeClock) -> None:
    """The table stays short without a long transaction."""
    tell(clock, *"abcde")
    relay_once(partition=0, sinks=[Remembering()], clock=clock)
    tell(clock, "unsent")
    later = clock() + KEEP + timedelta(seconds=1)
    assert trim_once(now=clock(), limit=3) == 0
    assert [trim_once(now=later, limit=3) for _ in range(3)] == [3, 2, 0]
    assert OutboxMessage.objects.get().events[0]["batch"] == "unsent"


def relay(clock: FakeClock, sink: Remembering, holder: str) -> Relay:
    """A relay whose pauses move the clock instead of taking time."""
    return Relay(
        partition=0,
        sinks=[sink],
        holder=holder,
        clock=clock,
        monotonic=lambda: clock().timestamp(),
        wait=lambda seconds: clock.advance(seconds=seconds),
    )


def test_a_second_relay_stands_back(clock: FakeClock) -> None:
    """One relay per partition: order holds."""
    tell(clock, "a")
    assert leases.acquire(lease_name(0), "the other", 60, clock())
    sink = Remembering()
    assert relay(clock, sink, "me").run(seconds=5) == 0
    assert sink.events == []


def test_a_relay_works_for_its_time_and_gives_its_lease_back(clock: FakeClock) -> None:
    """The next one begins at once."""
    tell(clock, "a")
    sink = Remembering()
    started = clock()
    assert relay(clock, sink, "me").run(seconds=5) == 1
    assert (clock() - started).total_seconds() == pytest.approx(5, abs=0.3)
    assert leases.acquire(lease_name(0), "the next", 60, clock())


def test_a_relay_that_lost_its_lease_stops(clock: FakeClock) -> None:
    """After a stall another relay has taken over."""
    sink = Remembering()
    mine = relay(clock, sink, "me")

    def stall(_seconds: float) -> object:
        clock.advance(seconds=60)
        return leases.acquire(lease_name(0), "the other", 600, clock())

    mine._wait = stall
    mine.run(seconds=3600)
    tell(clock, "a")
    assert sink.events == []
    assert leases.find(lease_name(0), clock()) is not None
