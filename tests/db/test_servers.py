"""The servers that tests start are what they say, and leave nothing behind."""

from pathlib import Path

import psutil
import redis

from ota_console.demo.processes import accepts_connections
from tests import servers


def test_valkey_answers_and_ends_with_its_block(tmp_path: Path) -> None:
    """A session's server is gone when its fixture ends."""
    with servers.valkey(tmp_path) as server:
        client = redis.Redis.from_url(server.url)
        assert client.ping()
        client.close()
        pid = server.child.pid
    assert not psutil.pid_exists(pid)


def test_mosquitto_listens_and_ends_with_its_block(tmp_path: Path) -> None:
    """A broker of a test is gone when its fixture ends."""
    with servers.mosquitto(tmp_path) as server:
        assert accepts_connections(server.port)
        pid = server.child.pid
    assert not psutil.pid_exists(pid)
