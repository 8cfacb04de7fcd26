"""Rows as parameters of a statement: a `FROM` item `x` out of a few texts, one for each column that differs.

A micro-batch writes thousands of rows, of which most columns hold the same value: such a column travels once. On
PostgreSQL the others are texts with separators, which cost it a fraction of what JSON does (hot path); SQLite takes one
JSON. Statements themselves stand in each app's `sql`; this module knows no table.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
from django.db import DEFAULT_DB_ALIAS

from ota_console.core.db import is_postgresql, time_text

Columns = Sequence[tuple[str, str]]
"""Names and PostgreSQL types."""
SEPARATOR: Final = "\x1f"
NULL: Final = "\x1e"
_HEAD: Final = "-"
"""Each text starts with an element that is cut off, since an empty text would be an empty array."""
_NO_MARKS: Final = str.maketrans({SEPARATOR: " ", NULL: " "})


class RowSource(NamedTuple):
    """`text` is for `FROM`; `parameters` are the values of its placeholders, in order."""

    text: str
    parameters: tuple[str | None, ...]


def row_source(columns: Columns, cells: Sequence[Sequence[Any]], using: str = DEFAULT_DB_ALIAS) -> RowSource:
    """Rows given by column: `cells[i]` holds the values of `columns[i]`. At least one row; the first column differs.

    Values: numbers, texts, truth values, times, enumerations of numbers, and anything JSON for `jsonb`; None is NULL.
    """
    return _arrays(columns, cells) if is_postgresql(using) else _json(columns, cells, using)


def rows_of(columns: Columns, rows: Iterable[Mapping[str, Any]], using: str = DEFAULT_DB_ALIAS) -> RowSource:
    """As `row_source`, for rows given as objects."""
    listed = list(rows)
    return row_source(columns, [[row[name] for row in listed] for name, _ in columns], using)


def _arrays(columns: Columns, cells: Sequence[Sequence[Any]]) -> RowSource:
    """`(SELECT u.id, %s::smallint AS status FROM unnest(…) AS u(id)) AS x`, which the planner sees through."""
    picked: list[str] = []
    arrays: list[str] = []
    names: list[str] = []
    constants: list[str | None] = []
    texts: list[str | None] = []
    for position, ((name, kind), values) in enumerate(zip(columns, cells, strict=True)):
        encode = _ENCODERS.get(kind, str)
        first = values[0]
        if position and values.count(first) == len(values):
            picked.append(f"%s::{kind} AS {name}")
            constants.append(None if first is None else encode(first))
        else:
            picked.append(f"u.{name}")
            names.append(name)
            arrays.append(f"(string_to_array(%s, '{SEPARATOR}', '{NULL}'))[2:]::{kind}[]")
            texts.append(_joined(values, encode))
    source = f"unnest({', '.join(arrays)}) AS u({', '.join(names)})"
    return RowSource(f"(SELECT {', '.join(picked)} FROM {source}) AS x", (*constants, *texts))  # noqa: S608 our constants


def _joined(values: Sequence[Any], encode: Callable[[Any], str]) -> str:
    return SEPARATOR.join([_HEAD, *[NULL if value is None else encode(value) for value in values]])


def _text(value: str) -> str:
    """Our two marks are control characters, which no text of ours needs."""
    return value.translate(_NO_MARKS) if SEPARATOR in value or NULL in value else value


def _json_text(value: Any) -> str:
    return orjson.dumps(value).decode()


_ENCODERS: Final[Mapping[str, Callable[[Any], str]]] = {"text": _text, "jsonb": _json_text}


def _json(columns: Columns, cells: Sequence[Sequence[Any]], using: str) -> RowSource:
    names = [name for name, _ in columns]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]
    picked = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in names)

    def as_text(value: Any) -> str | None:
        return time_text(value, using)

    body = orjson.dumps(rows, default=as_text, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()
    return RowSource(f"(SELECT {picked} FROM json_each(%s)) AS x", (body,))  # noqa: S608 our constants
