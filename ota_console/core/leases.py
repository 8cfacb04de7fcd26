"""Database leases: one active gateway, one dispatcher per shard, heartbeats that a health check can read.

A lease is taken by one guarded statement, the same on both databases. It never waits and never raises for a lost race.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import DEFAULT_DB_ALIAS, connections

from ota_console.core.models import Lease

ACQUIRE: Final = """
INSERT INTO core_lease (name, holder, expires_at) VALUES (%s, %s, %s)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
WHERE core_lease.holder = excluded.holder OR core_lease.expires_at <= %s
"""

BEAT: Final = """
INSERT INTO core_lease (name, holder, expires_at) VALUES (%s, %s, %s)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
"""
HEARTBEAT_PREFIX: Final = "heartbeat:"
HEARTBEAT_SECONDS: Final = 20.0
"""Four missed beats make a part dead."""
BEAT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class LeaseFacts:
    name: str
    holder: str
    expires_at: datetime


def acquire(name: str, holder: str, ttl_seconds: float, now: datetime, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Take or renew the lease; False while somebody else holds it."""
    connection = connections[using]
    adapt = connection.ops.adapt_datetimefield_value
    expires_at = now + timedelta(seconds=ttl_seconds)
    with connection.cursor() as cursor:
        cursor.execute(ACQUIRE, [name, holder, adapt(expires_at), adapt(now)])
        return bool(cursor.rowcount == 1)


def beat(part: str, now: datetime, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Say that this machine does the work of `part`; several machines may, and the last word counts."""
    connection = connections[using]
    expires_at = connection.ops.adapt_datetimefield_value(now + timedelta(seconds=HEARTBEAT_SECONDS))
    with connection.cursor() as cursor:
        cursor.execute(BEAT, [f"{HEARTBEAT_PREFIX}{part}", socket.gethostname(), expires_at])


class Heartbeat:
    """For loops that turn many times a second: beats now and then."""

    def __init__(self, part: str, *, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._part = part
        self._clock = clock
        self._monotonic = monotonic
        self._due_at = 0.0

    def beat(self) -> None:
        """Call it whenever work was done, or was looked for in vain."""
        moment = self._monotonic()
        if moment >= self._due_at:
            self._due_at = moment + BEAT_SECONDS
            beat(self._part, self._clock())


def release(name: str, holder: str, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Give the lease back at once; False where it was not ours any more."""
    deleted, _ = Lease.objects.using(using).filter(name=name, holder=holder).delete()
    return deleted == 1


def find(name: str, now: datetime, *, using: str = DEFAULT_DB_ALIAS) -> LeaseFacts | None:
    """The lease while it stands, else None."""
    lease = Lease.objects.using(using).filter(name=name, expires_at__gt=now).first()
    return LeaseFacts(lease.name, lease.holder, lease.expires_at) if lease else None


def find_by_prefix(prefix: str, now: datetime, *, using: str = DEFAULT_DB_ALIAS) -> list[LeaseFacts]:
    """All standing leases whose names start with `prefix`, by name."""
    leases = Lease.objects.using(using).filter(name__startswith=prefix, expires_at__gt=now).order_by("name")
    return [LeaseFacts(lease.name, lease.holder, lease.expires_at) for lease in leases]
