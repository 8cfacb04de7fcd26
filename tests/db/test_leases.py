from datetime import datetime

import pytest

from ota_console.core import leases
from ota_console.core.clock import FakeClock

pytestmark = pytest.mark.django_db


def test_a_free_lease_is_taken_by_the_first_who_asks(now: datetime) -> None:
    """The second holder is refused while the first one's lease stands."""
    assert leases.acquire("gateway", "one", 10, now)
    assert not leases.acquire("gateway", "two", 10, now)


def test_its_holder_renews_a_lease(clock: FakeClock) -> None:
    """A renewed lease runs from the renewal."""
    leases.acquire("gateway", "one", 10, clock())
    assert leases.acquire("gateway", "one", 10, clock.advance(seconds=8))
    assert leases.find("gateway", clock.advance(seconds=8)) is not None


def test_an_expired_lease_goes_to_another_holder(clock: FakeClock) -> None:
    """A dead holder keeps nobody waiting longer than its lease."""
    leases.acquire("gateway", "one", 10, clock())
    assert leases.acquire("gateway", "two", 10, clock.advance(seconds=10))
    found = leases.find("gateway", clock())
    assert found is not None
    assert found.holder == "two"


def test_only_its_holder_gives_a_lease_back(now: datetime) -> None:
    """A late release of a former holder does not take the lease from the present one."""
    leases.acquire("gateway", "one", 10, now)
    assert not leases.release("gateway", "two")
    assert leases.release("gateway", "one")
    assert leases.acquire("gateway", "two", 10, now)
