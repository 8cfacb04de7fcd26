"""What Celery runs: leases, time budgets, retries after lost races, and work found in rows."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError

from batches_app import tasks
from batches_app.commands.cancel import cancel_batch
from batches_app.engine import runs
from batches_app.engine.steps import ATTEMPTS, LEASE_SECONDS, StepChanged, Turn, again, run_alone
from batches_app.models import Batch
from devices_app.models import Product
from devices_app.ports import PublisherUnavailable
from ota_console.core import clock as system_clock
from ota_console.core import jobs, leases, shutdown
from ota_console.core.clock import FakeClock
from packages_app.models import UpdatePackage
from tests.campaign import OPERATOR, counts_of, launch, start
from tests.factories import make_device, make_devices, make_package, make_product
from tests.fakes import FakePublisher

pytestmark = pytest.mark.django_db


@pytest.fixture
def product() -> Product:
    return make_product()


@pytest.fixture
def package(product: Product) -> UpdatePackage:
    return make_package(product)


def lost(error: Exception, times: int) -> Callable[[], str]:
    """A step that loses so many races before it gets through."""
    left = [times]

    def step() -> str:
        if left[0]:
            left[0] -= 1
            raise error
        return "done"

    return step


def with_cause(sqlstate: str) -> OperationalError:
    error = OperationalError("lost")
    cause = Exception("from the driver")
    cause.sqlstate = sqlstate  # type: ignore[attr-defined]  # as psycopg's errors have it
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("error", [StepChanged(), IntegrityError(), with_cause("40P01")])
def test_a_lost_race_is_run_again(error: Exception) -> None:
    """The transaction is gone; the next one sees what won."""
    assert again(lost(error, ATTEMPTS - 1)) == "done"
    with pytest.raises(type(error)):
        again(lost(error, ATTEMPTS))


def test_a_database_that_is_down_is_told_at_once() -> None:
    """Trying again at once would not help; beat comes back."""
    with pytest.raises(OperationalError):
        again(lost(with_cause("57P01"), 1))


def test_one_at_a_time(clock: FakeClock) -> None:
    """A second worker does nothing while the first has its turn, and may go on when it is gone."""
    with Turn("sweep", clock) as first, Turn("sweep", clock) as second:
        assert first.is_mine()
        assert not second.is_mine()
        clock.advance(seconds=LEASE_SECONDS + 1)
        assert second.is_mine()


def test_a_turn_is_given_back(clock: FakeClock) -> None:
    """The next worker need not wait for the lease to end."""
    with Turn("sweep", clock) as turn:
        assert turn.is_mine()
    assert leases.find("sweep", clock()) is None


def test_a_run_ends_when_its_time_is_up(clock: FakeClock) -> None:
    """And says that work is left."""
    assert run_alone("x", lambda: True, clock=clock, seconds=0)
    assert not run_alone("x", lambda: False, clock=clock, seconds=0)


def test_a_launch_runs_to_its_end(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """In slices, under its own lease."""
    make_devices(product, 3)
    batch = start(package, clock())
    assert not runs.launch(batch.pk, clock=clock)
    assert counts_of(batch) == {"queued": 3}


def test_beat_finds_unfinished_launches_and_cancels(product: Product, package: UpdatePackage, now: datetime) -> None:
    """Whatever became of their messages."""
    make_device(product)
    waiting = start(package, now)
    canceling = launch(make_package(product, version="3.0"), now, busy_policy=Batch.BusyPolicy.OVERWRITE)
    cancel_batch(batch=canceling.public_id, actor=OPERATOR, now=now)
    assert runs.unfinished_work() == ([waiting.pk], [canceling.pk])
    tasks.resume()
    assert runs.unfinished_work() == ([], [])
    assert counts_of(canceling) == {"canceled": 1}


def test_the_tasks_of_celery_do_the_whole(
    product: Product, package: UpdatePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the names that commands and beat use; each may run twice."""
    sent: list[Any] = []
    monkeypatch.setattr(jobs, "send", lambda name, *args: sent.append((name, *args)))
    make_device(product)
    now = system_clock.now()
    batch = start(package, now)
    for _ in range(2):
        tasks.launch(batch.pk)
        tasks.sweep()
        tasks.match()
        tasks.reconcile()
    assert counts_of(batch) == {"queued": 1}
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=now)
    for _ in range(2):
        tasks.cancel(batch.pk)
        tasks.sweep()
    batch.refresh_from_db()
    assert not batch.is_open
    assert counts_of(batch) == {"canceled": 1}


@pytest.mark.django_db(transaction=True)
def test_the_push_loop_pushes_what_is_due(
    product: Product, package: UpdatePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a publisher of its own, closed afterwards; only while nobody else has the turn."""
    make_device(product)
    launch(package, system_clock.now())
    publisher = FakePublisher()
    monkeypatch.setattr(tasks, "open_publisher", lambda: publisher)
    monkeypatch.setattr(tasks, "DISPATCH_SECONDS", 0.05)
    with Turn("dispatch", system_clock.now) as other:
        assert other.is_mine()
        tasks.dispatch()
        assert not publisher.sent
    assert leases.find("heartbeat:dispatch", system_clock.now()) is None
    tasks.dispatch()
    assert len(publisher.sent) == 1
    assert leases.find("heartbeat:dispatch", system_clock.now()) is not None


def test_a_broker_that_is_away_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beat tries again; the rows wait."""

    def away() -> FakePublisher:
        message = "no broker"
        raise PublisherUnavailable(message)

    monkeypatch.setattr(tasks, "open_publisher", away)
    tasks.dispatch()
    assert leases.find("dispatch", system_clock.now()) is None
    assert leases.find("heartbeat:dispatch", system_clock.now()) is None


def test_the_push_loop_stops_when_the_worker_ends(clock: FakeClock) -> None:
    """Before its next chunk; another worker's turn stops it too."""
    with Turn("dispatch", clock) as turn:
        stop = tasks.UntilOthersTurn(turn)
        assert not stop.is_set()
        shutdown.announce()
        assert stop.is_set()
    shutdown.reset()


def test_names_are_those_that_beat_and_commands_send() -> None:
    """A task that is renamed would never run."""
    names = {"launch", "cancel", "sweep", "match", "resume", "reconcile", "dispatch"}
    assert {getattr(tasks, name).name for name in names} == {f"batches_app.{name}" for name in names}
