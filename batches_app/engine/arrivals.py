"""Which devices a micro-batch speaks of, and who of them came online or went offline.

First in the lock order: device rows are locked here, before any task. Must not touch tasks: it answers what follows for
them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from batches_app.domain.states import Connected, Disconnected
from devices_app import presence
from devices_app.protocol.payloads import Inbound, LegacyRequest, Presence, VersionReport
from ota_console.outbox import commands as outbox
from ota_console.outbox import events

Move = Connected | Disconnected
Known = tuple[Inbound, int]
"""A message and the key of the device that sent it."""
NEEDS_LOCK: Final = (Presence, VersionReport, LegacyRequest)
"""A launch must see either the row before such a message or after it."""


class Arrivals:
    """The devices of one micro-batch by their names on the wire."""

    def __init__(self, messages: Sequence[Inbound], now: datetime) -> None:
        """Reads all devices in one query."""
        self._now = now
        keys = {(m.product_key, m.device_name) for m in messages if m.product_key}
        self._devices = presence.find(keys) if keys else {}
        self.by_id = {sender.id: sender for sender in self._devices.values()}
        self.activated: list[presence.Connection] = []

    def find(self, message: Inbound) -> presence.Sender | None:
        """The sender; None: unknown."""
        return self._devices.get((message.product_key, message.device_name))

    def move(self, known: Iterable[Known]) -> dict[int, Move]:
        """Lock and write the devices whose row changes; what follows for their tasks, by `id` of the message."""
        stale = {device_id for device_id, sender in self.by_id.items() if presence.is_stale(sender, self._now)}
        touched = {device_id for message, device_id in known if device_id in stale or isinstance(message, NEEDS_LOCK)}
        if not touched:
            return {}
        before = presence.lock_connections(touched)
        for connection in before.values():  # what was true before the lock may be true no more
            self.by_id[connection.id] = self.by_id[connection.id]._replace(is_enabled=connection.is_enabled)
        current = dict(before)
        moves: dict[int, Move] = {}
        for message, device_id in known:
            was = current.get(device_id)
            if was is None:
                continue
            new = self._after(was, message)
            current[was.id] = new
            if new.is_online and (not was.is_online or new.session != was.session):
                moves[id(message)] = Connected()
            elif was.is_online and not new.is_online:
                moves[id(message)] = Disconnected()
        self._write(before, current)
        return moves

    def _after(self, was: presence.Connection, message: Inbound) -> presence.Connection:
        if isinstance(message, Presence):
            return presence.after_event(was, message, self._now)
        return presence.after_message(was, self._now)

    def _write(self, before: dict[int, presence.Connection], after: dict[int, presence.Connection]) -> None:
        changed = [connection for connection in after.values() if connection is not before[connection.id]]
        presence.write(changed)
        outbox.append(
            events=[
                events.presence_changed(device=connection.public_id, is_online=connection.is_online)
                for connection in changed
                if connection.is_online != before[connection.id].is_online
            ],
            now=self._now,
        )
        self.activated = [c for c in changed if c.activated_at != before[c.id].activated_at]
