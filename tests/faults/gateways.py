"""Gateways as processes of their own on the tests' database, and a device that floods them."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import paho.mqtt.client as mqtt
from django.db import connection
from paho.mqtt.enums import CallbackAPIVersion

from ota_console.demo.processes import Child, Program, wait_until

MANAGE = Path(__file__).parents[2] / "manage.py"
PATIENCE_SECONDS = 60
"""For a busy machine; nothing waits for it when things go well."""


def database_url() -> str:
    """The database of this test, for another process."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{quote(str(values['NAME']))}"
    return f"postgres://{values['USER']}@{values['HOST']}:{values['PORT']}/{values['NAME']}"


class GatewayProcess:
    """One `manage.py gateway`, with what it logged."""

    def __init__(self, mqtt_url: str, *, client_id: str = "ota-gateway") -> None:
        self.lines: list[str] = []
        environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "MQTT_URL": mqtt_url,
            "GATEWAY_CLIENT_ID": client_id,
            "LOG_FORMAT": "json",
        }
        program = Program(
            name="gateway",
            command=[sys.executable, str(MANAGE), "gateway"],
            environment=environment,
            is_ready=lambda: self.has_logged("gateway.connected") or self.has_logged("gateway.standby"),
            ready_seconds=PATIENCE_SECONDS,
        )
        self.child = Child(program, lambda _name, line: self.lines.append(line))

    def has_logged(self, event: str) -> bool:
        return any(f'"{event}"' in line for line in list(self.lines))

    def becomes_active(self) -> bool:
        return wait_until(lambda: self.has_logged("gateway.connected"), PATIENCE_SECONDS)


@contextlib.contextmanager
def gateways(mqtt_url: str, how_many: int = 1, *, client_id: str = "ota-gateway") -> Iterator[list[GatewayProcess]]:
    """So many gateways, the first one active; more may be appended, all are gone at the end."""
    running = [GatewayProcess(mqtt_url, client_id=client_id)]
    try:
        running[0].child.wait_ready()
        for _ in range(how_many - 1):
            running.append(GatewayProcess(mqtt_url, client_id=client_id))
            running[-1].child.wait_ready()
        yield running
    finally:
        for gateway in running:
            gateway.child.stop()


class Flood(threading.Thread):
    """Publishes messages at a steady rate, so that a kill falls into the middle of them."""

    def __init__(self, port: int, messages: list[tuple[str, bytes]], *, qos: int, per_second: int) -> None:
        super().__init__(name="flood")
        self.sent_count = 0
        self._messages = messages
        self._qos = qos
        self._pause_seconds = 1 / per_second
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="flood")
        self._client.connect("127.0.0.1", port)

    def run(self) -> None:
        self._client.loop_start()
        pace = threading.Event()
        for topic, payload in self._messages:
            self._client.publish(topic, payload, self._qos).wait_for_publish()
            self.sent_count += 1
            pace.wait(self._pause_seconds)
        self._client.disconnect()
        self._client.loop_stop()
