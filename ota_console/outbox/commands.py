"""Writing to the outbox: in the transaction that changed what the events tell, or not at all.

Must not send anything: the relay does, after the commit.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import orjson

from ota_console.core.db import bulk_execute, is_postgresql, time_text
from ota_console.outbox.events import Event

PARTITIONS: Final = 1
"""How many relays may work side by side. One carries the live pages of any fleet; forwarders may need more."""


def append(*, events: Sequence[Event], now: datetime, partition: int = 0) -> None:
    """Add one row with these events (see `events`) to the outbox, in the caller's transaction. No events, no row.

    `partition` is a hash of the device modulo `PARTITIONS`; what belongs to no device goes to 0. `now` is aware UTC.
    """
    if not events:
        return
    cast = "::jsonb" if is_postgresql() else ""
    bulk_execute(
        f"INSERT INTO outbox_outboxmessage (partition, events, created_at) VALUES (%s, %s{cast}, %s)",  # noqa: S608 - constants
        (partition % PARTITIONS, orjson.dumps(events).decode(), time_text(now)),
    )
