"""The whole server as real processes on the tests' own database, and a person with a token who uses its API.

Embedded: SQLite, Valkey and our broker, as `make demo` runs them. Servers: PostgreSQL, Valkey and mosquitto.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
from django.conf import settings
from django.db import connection

from ota_console.demo.processes import NotReadyError
from ota_console.demo.stack import Stack
from ota_console.demo.stack_config import PARTS, Ports, StackConfig, load_secrets
from tests import servers
from tests.servers import wait_until

PATIENCE_SECONDS: Final = 90
"""For a busy machine; nothing waits for it when things go well."""
PASSWORD: Final = "flow-password"
PROJECT: Final = Path(__file__).parents[2]


def database_url() -> str:
    """The database of this test, for another process."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{quote(str(values['NAME']))}"
    return f"postgres://{values['USER']}@{values['HOST']}:{values['PORT']}/{values['NAME']}"


@dataclass(slots=True)
class Rig:
    """A running stack with what it said, and a signed-in client."""

    stack: Stack
    lines: list[str] = field(default_factory=list)
    _client: httpx.Client | None = None

    @property
    def api(self) -> httpx.Client:
        """As the operator."""
        if self._client is None:
            self._client = httpx.Client(base_url=f"{self.stack.config.public_url}/api/v1/", timeout=30)
            credentials = {"username": "operator", "password": PASSWORD}
            token = self._client.post("auth/token/", json=credentials).raise_for_status().json()["token"]
            self._client.headers["Authorization"] = f"Token {token}"
        return self._client

    def post(self, path: str, **values: Any) -> Any:
        """The answer's JSON; an error is raised with what the server says."""
        answer = self.api.post(path, json=values)
        assert answer.is_success, answer.text
        return answer.json()

    def until(
        self,
        condition: Callable[[], object],
        what: str,
        state: Callable[[], object] = str,
        *,
        seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Wait for a condition; start again what was killed, as the demo does. `state` tells where things stand."""

        def is_met() -> bool:
            self.stack.restart_dead()
            return bool(condition())

        assert wait_until(is_met, seconds), f"{what}: {state()}\n" + "\n".join(self.lines[-80:])

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A management command on the stack's data."""
        command = [sys.executable, "-m", "django", *arguments]
        environment = self.stack.config.environment()
        return subprocess.run(
            command, env=environment, cwd=PROJECT, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )

    def close(self) -> None:
        """Let the client go."""
        if self._client is not None:
            self._client.close()


def config_of(folder: Path, **values: Any) -> StackConfig:
    """A stack on the tests' database and files, without a seeded fleet."""
    more: Mapping[str, str] = values.pop("extra_environment", {})
    environment = {"MEDIA_ROOT": str(settings.MEDIA_ROOT), "LOG_LEVEL": os.environ.get("LOG_LEVEL", "INFO"), **more}
    return StackConfig(
        data=folder,
        ports=Ports.free(),
        secrets=load_secrets(folder, password=PASSWORD),
        devices=0,
        database_url=database_url(),
        extra_environment=environment,
        **values,
    )


@contextlib.contextmanager
def rig(folder: Path, *, fleet: tuple[str, ...] = (), parts: tuple[str, ...] = PARTS, **values: Any) -> Iterator[Rig]:
    """Run it for the length of a block. `fleet`: arguments of the simulator, which takes the database's devices."""
    lines: list[str] = []
    config = config_of(folder, simulator_arguments=fleet, parts=parts, **values)
    stack = Stack(config, lambda part, line: lines.append(f"{part}: {line}"))
    running = Rig(stack, lines)
    try:
        stack.start()
        if "simulator" in parts:
            stack.start_part("simulator")
        yield running
    except NotReadyError as error:
        error.add_note("\n".join(lines[-80:]))
        raise
    finally:
        running.close()
        stack.stop()


@contextlib.contextmanager
def servers_of_a_rig(folder: Path) -> Iterator[dict[str, str]]:
    """Valkey and mosquitto, as arguments of `rig`."""
    with servers.valkey(folder / "valkey") as valkey, servers.mosquitto(folder / "mosquitto") as mosquitto:
        yield {"redis_url": valkey.url, "mqtt_url": mosquitto.url}
