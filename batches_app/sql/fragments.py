"""Pieces of SQL that carry their own parameters, so that nobody counts placeholders."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db import connection


class Fragment(NamedTuple):
    """SQL text with `%s` placeholders, and their values in order."""

    text: str
    values: tuple[Any, ...] = ()


def join(separator: str, pieces: Iterable[Fragment]) -> Fragment:
    """All pieces with `separator` between them."""
    items = list(pieces)
    return Fragment(separator.join(i.text for i in items), tuple(value for i in items for value in i.values))


def all_of(conditions: Iterable[Fragment]) -> Fragment:
    """A condition that holds where all of them hold; true where there are none."""
    items = [Fragment(f"({c.text})", c.values) for c in conditions]
    return join(" AND ", items) if items else Fragment("true")


def statement(template: str, **pieces: Fragment) -> Fragment:
    """`template` with `{name}` replaced by pieces, values in the order of appearance."""
    values: list[Any] = []
    text: list[str] = []
    rest = template
    while True:
        head, brace, tail = rest.partition("{")
        text.append(head)
        if not brace:
            return Fragment("".join(text), tuple(values))
        name, _, rest = tail.partition("}")
        text.append(pieces[name].text)
        values += pieces[name].values


def execute(sql: Fragment) -> int:
    """Run a statement; the number of rows that it changed."""
    with connection.cursor() as cursor:
        cursor.execute(sql.text, sql.values)
        return int(cursor.rowcount)


def fetch(sql: Fragment) -> list[tuple[Any, ...]]:
    """Run a query; all rows. Callers bound their number."""
    with connection.cursor() as cursor:
        cursor.execute(sql.text, sql.values)
        return list(cursor.fetchall())
