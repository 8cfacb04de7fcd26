"""Asks each part that the product stands on whether it answers, in bounded time and without changing anything.

Gateway and workers are asked through their heartbeats, which are leases in the database: they tell of work being done,
not of a process that merely exists. The gateway's is a proof that the broker serves: it beats only while the broker
answers.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import redis
from django.conf import settings
from django.db import DatabaseError, connection

from ota_console.core import leases
from ota_console.ops.broker import BrokerRefused, ask_broker

SECONDS_TO_ANSWER: Final = 2
"""A load balancer asks every few seconds; a part that takes longer is not ready."""
NO_GATEWAY: Final = (
    "No gateway has heard from the broker lately. Start `manage.py gateway`; where it runs, its log says why the "
    "broker does not answer it."
)

NO_WORKER: Final = (
    "No worker takes launches, cancels and timers. Start `celery worker` for the queue `default`, and `celery beat`."
)
NO_DISPATCH: Final = (
    "No worker pushes to devices. Start `celery worker` for the queue `dispatch`, and `celery beat`; where both run, "
    "the worker's log says why the broker does not let it in."
)
NO_RELAY: Final = (
    "No worker hands changes to live pages. Start `celery worker` for the queue `relay`, and `celery beat`; where both "
    "run, see whether Redis answers."
)


@dataclass(frozen=True, slots=True)
class PartHealth:
    name: str
    is_ok: bool
    reason: str


def check_readiness(*, now: datetime) -> list[PartHealth]:
    """One answer per part, always in the same order."""
    return [
        _database(),
        _redis(),
        _broker(),
        _heartbeat("gateway", now, NO_GATEWAY),
        _heartbeat("worker", now, NO_WORKER),
        _heartbeat("dispatch", now, NO_DISPATCH),
        _heartbeat("relay", now, NO_RELAY),
    ]


def _database() -> PartHealth:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return PartHealth("database", is_ok=False, reason=f"The database does not answer: {type(error).__name__}.")
    return PartHealth("database", is_ok=True, reason="It answers.")


def _redis() -> PartHealth:
    try:
        _ping_redis()
    except (OSError, redis.RedisError) as error:
        reason = f"Redis does not answer at REDIS_URL: {type(error).__name__}. Start it, or correct REDIS_URL."
        return PartHealth("redis", is_ok=False, reason=reason)
    return PartHealth("redis", is_ok=True, reason="It answers.")


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


def _broker() -> PartHealth:
    try:
        ask_broker(settings.MQTT_URL, ca_file=settings.MQTT_CA_FILE, timeout_seconds=SECONDS_TO_ANSWER)
    except BrokerRefused as refusal:
        return PartHealth("broker", is_ok=False, reason=str(refusal))
    except TimeoutError:
        reason = f"It does not answer within {SECONDS_TO_ANSWER} s. Look into the broker's log, and restart it."
        return PartHealth("broker", is_ok=False, reason=reason)
    except OSError as error:
        reason = f"The broker does not answer at MQTT_URL: {type(error).__name__}. Start it, or correct MQTT_URL."
        return PartHealth("broker", is_ok=False, reason=reason)
    return PartHealth("broker", is_ok=True, reason="It answers and lets the server in.")


def _heartbeat(name: str, now: datetime, sentence: str) -> PartHealth:
    try:
        lease = leases.find(f"{leases.HEARTBEAT_PREFIX}{name}", now)
    except DatabaseError:
        return PartHealth(name, is_ok=False, reason="Its heartbeat stands in the database, which does not answer.")
    if lease is None:
        return PartHealth(name, is_ok=False, reason=sentence)
    return PartHealth(name, is_ok=True, reason=f"{lease.holder} is alive.")
