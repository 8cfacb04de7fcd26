"""What health checks are told when a part hangs without ending: its connections stand, its work does not go on."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ota_console.core import clock as real_clock
from ota_console.core import leases
from ota_console.demo.processes import wait_until
from tests import servers
from tests.faults.gateways import PATIENCE_SECONDS, gateways

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
NOTICED_SECONDS = 14
"""Silence for 8 s, and the next look at it."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[servers.Server]:
    with servers.mosquitto(tmp_path) as server:
        yield server


def is_alive(part: str) -> bool:
    return leases.find(f"heartbeat:{part}", real_clock.now()) is not None


def test_a_gateway_beats_only_while_its_broker_answers(broker: servers.Server) -> None:
    """Frozen, the broker keeps the connection; thawed, the gateway is well again."""
    with gateways(broker.url):
        assert wait_until(lambda: is_alive("gateway"), PATIENCE_SECONDS)
        os.kill(broker.child.pid, signal.SIGSTOP)
        try:
            assert wait_until(lambda: not is_alive("gateway"), NOTICED_SECONDS)
        finally:
            os.kill(broker.child.pid, signal.SIGCONT)
        assert wait_until(lambda: is_alive("gateway"), PATIENCE_SECONDS)


def test_a_quiet_broker_is_no_dead_one(broker: servers.Server) -> None:
    """Nothing is said for longer than the bound: the broker answers what the gateway asks."""
    with gateways(broker.url):
        assert wait_until(lambda: is_alive("gateway"), PATIENCE_SECONDS)
        assert not wait_until(lambda: not is_alive("gateway"), NOTICED_SECONDS)
