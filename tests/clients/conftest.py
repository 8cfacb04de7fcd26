"""The embedded broker as a process of its own, in front of a stub of the console."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from ota_console.demo.processes import Program, accepts_connections, free_port
from tests.clients.console_stub import BROKER_SECRET, running_console
from tests.servers import running


@dataclass(frozen=True, slots=True)
class Broker:
    """Where it listens."""

    port: int
    tls_port: int
    ca: Path


def broker_program(*, port: int, tls_port: int, hook_url: str, data: Path) -> Program:
    """The embedded broker with these settings."""
    environment = {
        **os.environ,
        "MQTT_PORT": str(port),
        "MQTT_TLS_PORT": str(tls_port),
        "BROKER_HOOK_URL": hook_url,
        "BROKER_SECRET": BROKER_SECRET,
        "DATA_DIR": str(data),
    }
    command = [sys.executable, "-m", "ota_console.demo.broker"]
    return Program(name="broker", command=command, environment=environment, is_ready=partial(accepts_connections, port))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One for all tests of this folder; each uses devices and clients of its own names."""
    data = tmp_path_factory.mktemp("broker")
    place = Broker(free_port(), free_port(), data / "tls" / "broker.pem")
    with running_console() as hook_url:
        program = broker_program(port=place.port, tls_port=place.tls_port, hook_url=hook_url, data=data)
        with running(program):
            yield place
