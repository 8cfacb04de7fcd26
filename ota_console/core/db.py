"""What set-based statements need beside the ORM: the dialect, the database's clock, slices of keys, fast cursors.

Rows as parameters: `core.rows`. Statements themselves stand in each app's `sql`; this module knows no table.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, Literal, cast

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper
from psycopg.pq import Format

from ota_console.core import clock

Dialect = Literal["postgresql", "sqlite"]

_BINDING_CURSOR: Final[Any] = ServerBindingCursor
"""Django's own for `server_side_binding`; its stubs forget that it is a cursor of the driver."""
_TIME_LOADER: Final = psycopg.adapters.get_loader(psycopg.adapters.types["timestamptz"].oid, Format.TEXT)
"""The driver's own; Django replaces it on its connections by one in Python that costs 3 µs a value (hot path)."""


@cache
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


@contextmanager
def bulk_cursor(using: str = DEFAULT_DB_ALIAS) -> Iterator[CursorWrapper]:
    """A cursor for statements that carry or answer thousands of rows; errors are Django's as ever.

    On PostgreSQL parameters travel beside the statement: inside its text, client and server would scan a megabyte of
    them. A parameter whose type the statement does not imply needs a cast.
    """
    wrapper = connections[using]
    if not is_postgresql(using):
        with wrapper.cursor() as cursor:
            yield cursor
        return
    wrapper.ensure_connection()
    binding = _BINDING_CURSOR(wrapper.connection)
    if _TIME_LOADER is not None:
        binding.adapters.register_loader("timestamptz", _TIME_LOADER)
    with wrapper.make_debug_cursor(binding) if wrapper.queries_logged else wrapper.make_cursor(binding) as cursor:
        yield cursor


def bulk_fetch(statement: str, parameters: Sequence[Any], using: str = DEFAULT_DB_ALIAS) -> list[tuple[Any, ...]]:
    """All rows of a query, which the caller bounds; times aware as the ORM's, on SQLite those of plain columns."""
    with bulk_cursor(using) as cursor:
        cursor.execute(statement, parameters)
        rows = cursor.fetchall()
    return rows if is_postgresql(using) else [tuple(map(_aware, row)) for row in rows]


def bulk_execute(statement: str, parameters: Sequence[Any], using: str = DEFAULT_DB_ALIAS) -> int:
    """Run a statement that carries rows; how many rows it changed."""
    with bulk_cursor(using) as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def keys_in(column: str, using: str = DEFAULT_DB_ALIAS) -> str:
    """A condition on an integer column with one parameter, `keys_text`; as fast for thousands of keys as for one."""
    if is_postgresql(using):
        return f"{column} = ANY(%s::bigint[])"
    return f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608 the names are our own constants


def keys_text(keys: Iterable[int], using: str = DEFAULT_DB_ALIAS) -> str:
    """The parameter of `keys_in`."""
    listed = ",".join(map(str, keys))
    return f"{{{listed}}}" if is_postgresql(using) else f"[{listed}]"
