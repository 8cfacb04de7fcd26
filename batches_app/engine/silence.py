"""Devices that say nothing: where a broker gives no presence events, silence beyond the keep-alive means offline.

rules.md §5: such a device is assumed online until then. Must not be used beside presence events, which know better.
"""

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from batches_app.domain.states import Disconnected
from batches_app.transitions import Transitions
from devices_app import presence
from ota_console.outbox import commands as outbox
from ota_console.outbox import events

DEVICES_AT_ONCE: Final = 500


def end_silent_connections(*, silence: timedelta, now: datetime) -> bool:
    """Set devices offline that were not heard of for `silence`; whether there may be more."""
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
