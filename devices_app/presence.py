"""Who is online: what a connect, a disconnect or any message changes on a device's row (rules.md §5).

Pure decisions over a device's connection facts, and the one statement that writes them. Keyed by the broker's
session, so that a late disconnect after a take-over is ignored. Must not know tasks.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from devices_app import sql
from devices_app.models import Device
from devices_app.protocol.payloads import Presence
from ota_console.core.db import key_slices

SEEN_EVERY: Final = timedelta(seconds=60)
"""`last_seen_at` is written at most this often: a busy device must not cost a row update per message."""

DOUBTFUL: Final = "?"
"""The session of a device that was online when the broker may have died: its next message is as good as a connect."""
ASK_AFTER: Final = timedelta(seconds=60)
"""What devices get to come back and speak by themselves after the broker was lost, before they are pushed again."""
KEYS_AT_ONCE: Final = 10_000


@dataclass(slots=True)
class Connection:
    """A device's row as far as its connection is concerned."""

    id: int
    public_id: str
    product_id: int
    name: str
    is_enabled: bool
    is_online: bool
    session: str
    address: str
    presence_at: datetime | None
    activated_at: datetime | None
    last_seen_at: datetime | None
    ask_at: datetime | None


class Sender(NamedTuple):
    """Who sent a message, as its row was when it was read, without a lock."""

    id: int
    public_id: str
    product_id: int
    name: str
    is_enabled: bool
    is_online: bool
    session: str
    last_seen_at: datetime | None


DeviceKey = tuple[str, str]
"""How a device is named on the wire: product key and device name."""


def find(keys: Collection[DeviceKey]) -> dict[DeviceKey, Sender]:
    """Read by names, without a lock; unknown devices are missing."""
    return {(row[0], row[4]): Sender(*row[1:]) for row in sql.read_senders(keys)}


def lock_connections(ids: Iterable[int]) -> dict[int, Connection]:
    """Lock device rows in id order and read them afresh."""
    return {row[0]: Connection(*row) for row in sql.lock_connections(ids)}


def is_stale(connection: Connection | Sender, now: datetime) -> bool:
    """A message from it has to be written down: it counts as offline, or was not seen for a while."""
    seen = connection.last_seen_at
    is_known = connection.is_online and connection.session != DOUBTFUL
    return not is_known or seen is None or now - seen >= SEEN_EVERY


def after_event(connection: Connection, event: Presence, now: datetime) -> Connection:
    """What the broker said. A connect with a new session is a new connection, unless the device is disabled.

    A disconnect counts for its own session only, or where the session is not known.
    """
    if event.is_connect:
        if not connection.is_enabled or (connection.is_online and connection.session == event.session):
            return connection
        return replace(
            connection,
            is_online=True,
            session=event.session,
            address=event.address,
            presence_at=now,
            activated_at=connection.activated_at or now,
            last_seen_at=now,
            ask_at=None,
        )
    if not connection.is_online or connection.session not in (event.session, "", DOUBTFUL):
        return connection
    return replace(connection, is_online=False, presence_at=now, ask_at=None)


def after_message(connection: Connection, now: datetime) -> Connection:
    """Any message sets online (rules.md §5), unless the device is disabled."""
    if not connection.is_enabled or not is_stale(connection, now):
        return connection
    session = "" if connection.session == DOUBTFUL else connection.session
    seen = replace(connection, last_seen_at=now, session=session, ask_at=None)
    if connection.is_online:
        return seen
    return replace(seen, is_online=True, presence_at=now, activated_at=connection.activated_at or now)


def doubt_sessions(now: datetime) -> None:
    """After the broker was away: a push may have been lost with it, so who speaks next is treated as just connected.

    Who does not speak is asked after `ASK_AFTER`: its last report may have been lost too. Devices stay online
    meanwhile. In slices of keys; call outside a transaction.
    """
    last = Device.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    for after, up_to in key_slices(1, last, KEYS_AT_ONCE):
        doubtful = Device.objects.filter(pk__gt=after, pk__lte=up_to, is_online=True)
        doubtful.update(session=DOUBTFUL, ask_at=now + ASK_AFTER)


def to_be_asked(now: datetime, *, limit: int) -> list[int]:
    """Devices that have stayed silent since the broker was lost and are to be pushed again, longest wait first."""
    due = Device.objects.filter(ask_at__lte=now).order_by("ask_at")
    return list(due.values_list("id", flat=True)[:limit])


def silent_since(moment: datetime, *, limit: int) -> list[int]:
    """Online devices that were last heard of before `moment`."""
    silent = Device.objects.filter(is_online=True, last_seen_at__lt=moment)
    return list(silent.order_by("id").values_list("id", flat=True)[:limit])


def is_silent(connection: Connection, moment: datetime) -> bool:
    """Still, now that the row is locked."""
    return connection.is_online and (connection.last_seen_at is None or connection.last_seen_at < moment)


def after_silence(connection: Connection, now: datetime) -> Connection:
    """Offline; the next message sets it online again, unless the device is disabled."""
    return replace(connection, is_online=False, presence_at=now, ask_at=None)


def write(changed: Sequence[Connection]) -> None:
    """Write changed rows in one statement; they must be locked."""
    sql.update_presence(
        [
            {
                "id": c.id,
                "is_online": c.is_online,
                "session": c.session,
                "address": c.address,
                "presence_at": c.presence_at,
                "activated_at": c.activated_at,
                "last_seen_at": c.last_seen_at,
                "ask_at": c.ask_at,
            }
            for c in sorted(changed, key=lambda c: c.id)
        ]
    )
