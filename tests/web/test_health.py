import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from ota_console.core import clock, leases
from tests import servers
from tests.servers import Server

pytestmark = pytest.mark.django_db


def checks(client: Client) -> dict[str, dict[str, object]]:
    parts: dict[str, dict[str, object]] = client.get("/readyz").json()["checks"]
    return parts


def test_healthz_needs_nothing_but_the_process(client: Client) -> None:
    """No sign-in, no database: a supervisor asks whether to restart it."""
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_readyz_names_each_part_that_does_not_answer(client: Client) -> None:
    """503, and a reason for each: nothing but the database runs here."""
    response = client.get("/readyz")
    found = {name: part["ok"] for name, part in response.json()["checks"].items()}
    assert response.status_code == 503
    assert found == {
        "database": True,
        "redis": True,
        "broker": False,
        "gateway": False,
        "worker": False,
        "dispatch": False,
        "relay": False,
    }
    assert "manage.py gateway" in str(checks(client)["gateway"]["reason"])
    for queue in ("dispatch", "relay"):
        assert f"the queue `{queue}`" in str(checks(client)[queue]["reason"])


def test_readyz_is_content_when_all_parts_answer(client: Client, mosquitto_server: Server, settings: Settings) -> None:
    """200 with a broker that answers and fresh heartbeats."""
    settings.MQTT_URL = mosquitto_server.url
    for name in ("gateway", "worker", "dispatch", "relay"):
        leases.beat(name, clock.now())
    assert client.get("/readyz").status_code == 200


def test_a_heartbeat_that_stopped_is_told(client: Client) -> None:
    """A worker that hangs is as bad as none."""
    leases.acquire("heartbeat:worker", "here", 20, clock.now() - timedelta(minutes=1))
    assert checks(client)["worker"]["ok"] is False


@pytest.fixture
def locked_broker(tmp_path: Path) -> Iterator[Server]:
    """A broker that nobody may use."""
    (tmp_path / "nobody").touch(mode=0o600)
    with servers.mosquitto(
        tmp_path, settings=f"allow_anonymous false\npassword_file {tmp_path / 'nobody'}\n"
    ) as server:
        yield server


def test_a_broker_that_refuses_the_servers_account_is_told(
    client: Client, locked_broker: Server, settings: Settings
) -> None:
    """It takes connections, which is not enough."""
    settings.MQTT_URL = f"mqtt://ota-server:wrong@127.0.0.1:{locked_broker.port}"
    broker = checks(client)["broker"]
    assert broker["ok"] is False
    assert "refuses the user name and password" in str(broker["reason"])


def test_a_broker_that_hangs_is_told(client: Client, tmp_path: Path, settings: Settings) -> None:
    """The system still takes connections for a process that is frozen."""
    with servers.mosquitto(tmp_path) as server:
        settings.MQTT_URL = server.url
        os.kill(server.child.pid, signal.SIGSTOP)
        try:
            broker = checks(client)["broker"]
        finally:
            os.kill(server.child.pid, signal.SIGCONT)
        assert broker["ok"] is False
        assert "does not answer within 2 s" in str(broker["reason"])
        assert checks(client)["broker"]["ok"] is True


def test_what_does_not_speak_mqtt_is_told(client: Client, valkey_server: Server, settings: Settings) -> None:
    """The address of another server."""
    settings.MQTT_URL = f"mqtt://127.0.0.1:{valkey_server.port}"
    assert checks(client)["broker"]["ok"] is False


def test_readyz_tells_a_redis_that_is_down(client: Client, settings: Settings) -> None:
    """Its address answers nothing."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert checks(client)["redis"]["ok"] is False


def test_the_health_of_a_server_is_never_cached(client: Client) -> None:
    """A proxy in between must ask each time."""
    assert "no-cache" in client.get("/healthz")["Cache-Control"]
