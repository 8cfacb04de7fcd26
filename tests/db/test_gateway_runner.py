"""The gateway's process without a broker: leases, standing by, the end."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from batches_app.engine.ingest import ingest
from ota_console.core import clock as real_clock
from ota_console.core import leases
from ota_console.demo.processes import free_port, wait_until
from ota_console.gateway.adapter import Endpoint
from ota_console.gateway.journal import LEASE_NAME
from ota_console.gateway.runner import HEARTBEAT_NAME, Gateway, GatewayConfig

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_SECONDS = 30


def gateway(clock: Callable[..., object] = real_clock.now) -> Gateway:
    """One whose broker is away: it tries again and again."""
    config = GatewayConfig(endpoint=Endpoint("127.0.0.1", free_port()), client_id="gateway")
    return Gateway(config=config, apply=ingest, clock=clock, holder="me")  # type: ignore[arg-type] # some clocks fail


def while_it_runs(running: Gateway, act: Callable[[], object]) -> int:
    """Act in another thread, then see how the gateway ends."""
    failures: list[BaseException] = []

    def helper() -> None:
        try:
            act()
        except BaseException as failure:  # noqa: BLE001 - told below, in the test's own thread
            failures.append(failure)
            running.stop()
        finally:
            connection.close()

    thread = threading.Thread(target=helper)
    thread.start()
    code = running.run()
    thread.join()
    assert not failures
    return code


def holder_of(name: str) -> str:
    lease = leases.find(name, real_clock.now())
    return lease.holder if lease else ""


def becomes(name: str, holder: str) -> None:
    assert wait_until(lambda: holder_of(name) == holder, PATIENCE_SECONDS)


def test_it_is_active_without_a_broker_and_gives_everything_back() -> None:
    """A broker that is away is no reason to give up: the gateway tries again until it is stopped."""
    running = gateway()

    def act() -> None:
        becomes(LEASE_NAME, "me")
        assert not running.is_connected
        assert running.settled_count == 0
        running.stop()

    assert while_it_runs(running, act) == 0
    assert holder_of(LEASE_NAME) == holder_of(HEARTBEAT_NAME) == ""


def test_it_stands_by_until_it_is_stopped() -> None:
    """Another one is active."""
    assert leases.acquire(LEASE_NAME, "another", 60, real_clock.now())
    running = gateway()
    assert while_it_runs(running, running.stop) == 0
    assert holder_of(LEASE_NAME) == "another"


def test_it_takes_over_when_the_lease_runs_out() -> None:
    """The other one vanished without a word."""
    assert leases.acquire(LEASE_NAME, "another", 1, real_clock.now())
    running = gateway()

    def act() -> None:
        becomes(LEASE_NAME, "me")
        running.stop()

    assert while_it_runs(running, act) == 0


def test_it_ends_when_another_one_took_the_lease() -> None:
    """It stalled for too long: two active gateways would be worse than none for a moment."""

    def act() -> None:
        becomes(LEASE_NAME, "me")
        leases.release(LEASE_NAME, "me")
        assert leases.acquire(LEASE_NAME, "another", 60, real_clock.now())

    assert while_it_runs(gateway(), act) == 1
    assert holder_of(LEASE_NAME) == "another"


def test_it_outlives_a_database_that_does_not_answer() -> None:
    """While it stands by and while it is active: a question without an answer is asked again."""
    calls = []

    def clock() -> object:
        calls.append(1)
        if len(calls) in {1, 3}:
            raise OperationalError("the connection is closed")
        return real_clock.now() + timedelta(0)

    running = gateway(clock)

    def act() -> None:
        becomes(LEASE_NAME, "me")
        assert wait_until(lambda: len(calls) > 3, PATIENCE_SECONDS)
        running.stop()

    assert while_it_runs(running, act) == 0
    assert len(calls) > 3
