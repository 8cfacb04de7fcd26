"""What set-based statements need beside the ORM: the dialect, the database's clock, slices of keys.

Statements themselves stand in each app's `sql`; this module knows no table.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal, cast

from django.db import DEFAULT_DB_ALIAS, connections

from ota_console.core import clock

Dialect = Literal["postgresql", "sqlite"]


def dialect(using: str = DEFAULT_DB_ALIAS) -> Dialect:
    """Which of the two statements to take."""
    return cast("Dialect", connections[using].vendor)


def is_postgresql(using: str = DEFAULT_DB_ALIAS) -> bool:
    return dialect(using) == "postgresql"


def database_now(using: str = DEFAULT_DB_ALIAS) -> datetime:
    """The clock that all workers share, aware, in UTC; read it after the lock that it is used under.

    On PostgreSQL `clock_timestamp()`, which moves inside a transaction; SQLite lives on one machine and takes its
    clock.
    """
    if not is_postgresql(using):
        return clock.now()
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    return cast("datetime", row[0]).astimezone(UTC)


def key_slices(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges (after, up_to] that cover the keys first…last: `WHERE id > after AND id <= up_to`."""
    after = first - 1
    while after < last:
        up_to = min(after + size, last)
        yield after, up_to
        after = up_to


def time_text(moment: datetime | None, using: str = DEFAULT_DB_ALIAS) -> str | None:
    """A time as the database's text: ISO 8601 for PostgreSQL; for SQLite the form that Django writes (naive UTC)."""
    if moment is None:
        return None
    text = moment.astimezone(UTC).isoformat(sep=" ")
    return text if is_postgresql(using) else text[:-6]


def record_source(columns: Sequence[tuple[str, str]], using: str = DEFAULT_DB_ALIAS) -> str:
    """A `FROM` item `x` with these (name, PostgreSQL type) columns, out of one JSON parameter: a list of objects."""
    if is_postgresql(using):
        typed = ", ".join(f"{name} {kind}" for name, kind in columns)
        return f"json_to_recordset(%s::json) AS x({typed})"
    picked = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name, _ in columns)
    return f"(SELECT {picked} FROM json_each(%s)) AS x"  # noqa: S608 the names are our own constants
