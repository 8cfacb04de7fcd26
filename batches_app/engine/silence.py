"""Devices that say nothing (rules.md §5).

Where a broker gives no presence events, silence beyond the keep-alive means offline. After a broker was lost, a device
that stays silent may have reported its last word to nobody: it is pushed again, and answers with its version.
"""

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from batches_app.domain.states import IN_PROGRESS, NOTIFIED, Connected, Disconnected, fresh_until
from batches_app.transitions import LockedTask, Transitions
from devices_app import presence
from ota_console.outbox import commands as outbox
from ota_console.outbox import events

DEVICES_AT_ONCE: Final = 500


def end_silent_connections(*, silence: timedelta, now: datetime) -> bool:
    """Set devices offline that were not heard of for `silence`; whether there may be more.

    Must not be used beside presence events, which know better.
    """
    silent = presence.silent_since(now - silence, limit=DEVICES_AT_ONCE)
    if not silent:
        return False
    with transaction.atomic():
        before = presence.lock_connections(silent)
        gone = [presence.after_silence(c, now) for c in before.values() if presence.is_silent(c, now - silence)]
        presence.write(gone)
        moves = Transitions(now)
        for task in moves.lock_open(c.id for c in gone):
            moves.apply(task, Disconnected())
        moves.flush()
        outbox.append(events=[events.presence_changed(device=c.public_id, is_online=False) for c in gone], now=now)
    return len(silent) == DEVICES_AT_ONCE


def ask_silent_devices(*, now: datetime) -> bool:
    """Make due, once an outage, what was handed out to devices that stayed silent since; whether there may be more.

    The devices count as in doubt until they speak: this push may find nobody either.
    """
    waiting = presence.to_be_asked(now, limit=DEVICES_AT_ONCE)
    if not waiting:
        return False
    with transaction.atomic():
        connections = [c for c in presence.lock_connections(waiting).values() if c.ask_at and c.ask_at <= now]
        moves = Transitions(now)
        handed_out: defaultdict[int | None, list[LockedTask]] = defaultdict(list)
        for task in moves.lock_open(c.id for c in connections):
            if task.facts.status in (NOTIFIED, IN_PROGRESS) and task.facts.due_at is None:
                handed_out[task.device_id].append(task)
        presence.write([replace(c, ask_at=_ask(moves, handed_out[c.id], now)) for c in connections])
        moves.flush()
    return len(waiting) == DEVICES_AT_ONCE


def _ask(moves: Transitions, tasks: list[LockedTask], now: datetime) -> datetime | None:
    """As if the device had just connected; or when to look again, where it reported progress a moment ago."""
    fresh = [end for task in tasks if (end := fresh_until(task.facts, now)) is not None]
    if fresh:
        return max(fresh)
    for task in tasks:
        moves.apply(task, Connected())
    return None
