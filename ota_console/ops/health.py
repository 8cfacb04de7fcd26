"""Asks each part that the product stands on whether it answers, in bounded time and without changing anything.

Gateway and workers are asked through their heartbeats, which are leases in the database: they tell of work being taken,
not of a process that merely exists.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.db import DatabaseError, connection

from ota_console.core import leases

SECONDS_TO_ANSWER: Final = 2
"""A load balancer asks every few seconds; a part that takes longer is not ready."""
MQTT_PORT: Final = 1883
MQTTS_PORT: Final = 8883


@dataclass(frozen=True, slots=True)
class PartHealth:
    name: str
    is_ok: bool
    reason: str


def check_readiness(*, now: datetime) -> list[PartHealth]:
    """One answer per part, always in the same order."""
    return [
        _database(),
        _asked("redis", _ping_redis),
        _asked("broker", _reach_broker),
        _heartbeat("gateway", now, "No gateway has read the broker lately. Start `manage.py gateway`."),
        _heartbeat("worker", now, "No worker has taken a task lately. Start Celery's workers and beat."),
    ]


def _database() -> PartHealth:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return PartHealth("database", is_ok=False, reason=f"The database does not answer: {type(error).__name__}.")
    return PartHealth("database", is_ok=True, reason="It answers.")


def _asked(name: str, ask: Callable[[], None]) -> PartHealth:
    try:
        ask()
    except (OSError, redis.RedisError) as error:
        return PartHealth(name, is_ok=False, reason=f"It does not answer at its address: {type(error).__name__}.")
    return PartHealth(name, is_ok=True, reason="It answers.")


def _ping_redis() -> None:
    if settings.REDIS_URL.startswith("memory:"):
        return
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=SECONDS_TO_ANSWER, socket_connect_timeout=SECONDS_TO_ANSWER
    )
    try:
        client.ping()
    finally:
        client.close()


def _reach_broker() -> None:
    """A TCP connection only: the gateway's heartbeat tells whether the broker serves."""
    url = urlsplit(settings.MQTT_URL)
    port = url.port or (MQTTS_PORT if url.scheme == "mqtts" else MQTT_PORT)
    socket.create_connection((url.hostname or "127.0.0.1", port), timeout=SECONDS_TO_ANSWER).close()


def _heartbeat(name: str, now: datetime, sentence: str) -> PartHealth:
    try:
        lease = leases.find(f"heartbeat:{name}", now)
    except DatabaseError:
        return PartHealth(name, is_ok=False, reason="Its heartbeat stands in the database, which does not answer.")
    if lease is None:
        return PartHealth(name, is_ok=False, reason=sentence)
    return PartHealth(name, is_ok=True, reason=f"{lease.holder} is alive.")
