"""Whole stacks of real processes for tests: on the embedded parts, or on PostgreSQL, Valkey and mosquitto.

The same supervisor as the demo's starts them. What the parts say is kept in `Running.lines` and, at the end, in a file.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ota_console.demo.stack import Stack
from ota_console.demo.stack_config import Ports, StackConfig, load_secrets
from tests import servers

PASSWORD: Final = "a-password-for-tests"
LOG_FILE: Final = "stack.log"


@dataclass(slots=True)
class Running:
    """A stack, and everything that its parts said."""

    stack: Stack
    lines: list[str] = field(default_factory=list)

    @property
    def config(self) -> StackConfig:
        return self.stack.config

    def said(self, part: str) -> list[str]:
        return [line for line in self.lines if line.startswith(f"{part}: ")]


@contextlib.contextmanager
def embedded(folder: Path, **changes: Any) -> Iterator[Running]:
    """SQLite, Valkey from its wheel, our broker; `changes` are fields of StackConfig."""
    with _running(replace(_config(folder), **changes)) as running:
        yield running


@contextlib.contextmanager
def on_servers(folder: Path, **changes: Any) -> Iterator[Running]:
    """PostgreSQL, Valkey and mosquitto, each started for this stack alone; devices subscribe by themselves."""
    with (
        servers.postgresql(folder / "postgresql") as database,
        servers.valkey(folder / "valkey") as queue,
        servers.mosquitto(folder / "mosquitto") as broker,
    ):
        config = replace(
            _config(folder),
            database_url=database.url,
            redis_url=queue.url,
            mqtt_url=broker.url,
            simulator_arguments=("--subscribe",),
        )
        with _running(replace(config, **changes)) as running:
            yield running


def _config(folder: Path) -> StackConfig:
    folder.mkdir(parents=True, exist_ok=True)
    return StackConfig(data=folder, ports=Ports.free(), secrets=load_secrets(folder, password=PASSWORD), devices=0)


@contextlib.contextmanager
def _running(config: StackConfig) -> Iterator[Running]:
    lines: list[str] = []
    stack = Stack(config, lambda part, line: lines.append(f"{part}: {line}"))
    try:
        stack.start()
        yield Running(stack, lines)
    finally:
        stack.stop()
        (config.data / LOG_FILE).write_text("\n".join(lines), encoding="utf-8")
