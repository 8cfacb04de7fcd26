"""The stored half of `session.Journal`: written in the transaction that applies a micro-batch.

The same statement fences: it writes nothing unless this process still holds the gateway's lease, so that an old gateway
that wakes up beside its successor cannot commit. Must not decide what is applied.
"""

from typing import Final

from django.db import connection

from ota_console.core.db import is_postgresql
from ota_console.gateway.models import AppliedEntry
from ota_console.gateway.session import Journal

LEASE_NAME: Final = "gateway"
"""One active gateway: one device's messages have one ordered consumer (rules.md §7)."""


_WRITE: Final = """
INSERT INTO gateway_appliedentry (token, worker, fingerprints)
SELECT %s, %s, %s FROM core_lease WHERE name = %s AND holder = %s RETURNING id
"""
_WRITE_LOCKING: Final = _WRITE.replace("RETURNING", "FOR SHARE RETURNING")
"""On PostgreSQL a successor waits for our commit; on SQLite there is one writer anyway."""


class LeaseLost(Exception):
    """Another gateway took over: this process must not write any more."""


def load(journal: Journal) -> None:
    """Read what earlier transactions, of whichever process, applied."""
    rows = AppliedEntry.objects.order_by("id").values_list("id", "fingerprints")
    journal.load((entry, bytes(joined)) for entry, joined in rows)


def find(token: str) -> int | None:
    """The entry that an attempt committed, if it did. The table is short: no index."""
    return AppliedEntry.objects.filter(token=token).values_list("id", flat=True).first()


def write(*, token: str, worker: int, fingerprints: bytes, holder: str) -> int:
    """Add an entry in the caller's transaction; answers its id. Raises LeaseLost."""
    with connection.cursor() as cursor:
        cursor.execute(_WRITE_LOCKING if is_postgresql() else _WRITE, (token, worker, fingerprints, LEASE_NAME, holder))
        row = cursor.fetchone()
    if row is None:
        raise LeaseLost(holder)
    return int(row[0])


def forget(through: int, *, worker: int) -> None:
    """Drop this worker's entries up to this id, in the caller's transaction."""
    AppliedEntry.objects.filter(pk__lte=through, worker=worker).delete()
