"""Rows as parameters: what goes in comes out, on both databases."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from batches_app.domain.states import TaskStatus
from ota_console.core.db import bulk_fetch
from ota_console.core.rows import NULL, SEPARATOR, row_source

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
COLUMNS = (("id", "bigint"), ("name", "text"), ("kind", "smallint"), ("is_so", "boolean"))


def read(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    source = row_source(columns, list(zip(*rows, strict=True)))
    names = ", ".join(f"x.{name}" for name, _ in columns)
    return bulk_fetch(f"SELECT {names} FROM {source.text} ORDER BY x.id", source.parameters)


TEXTS = st.text(st.characters(exclude_characters="\0" + SEPARATOR + NULL, exclude_categories=["Cs"]), max_size=12)
ROWS = st.lists(st.tuples(st.none() | TEXTS, st.integers(-5, 5), st.booleans()), min_size=1, max_size=8)


class Rows(TestCase):
    @given(ROWS)
    def test_what_goes_in_comes_out(self, rows: list[tuple[str | None, int, bool]]) -> None:
        """Empty texts, NULL, quotes, any script; columns that differ and columns that do not."""
        given_rows = [(number, *row) for number, row in enumerate(rows, start=1)]
        assert [(pk, name, kind, bool(is_so)) for pk, name, kind, is_so in read(COLUMNS, given_rows)] == given_rows


@pytest.mark.postgresql
def test_our_own_marks_in_a_text_become_blanks() -> None:
    """No text of a stranger may shift the columns."""
    rows = read(COLUMNS[:2], [(1, f"a{SEPARATOR}b"), (2, NULL), (3, None)])
    assert rows == [(1, "a b"), (2, " "), (3, None)]


def test_times_and_enumerations_arrive_as_the_columns_want_them() -> None:
    """Also where all rows say the same."""
    columns = (("id", "bigint"), ("at", "timestamptz"), ("status", "smallint"))
    for second in (AT, AT + timedelta(microseconds=1)):
        source = row_source(columns, [[1, 2], [AT, second], [TaskStatus.QUEUED, TaskStatus.QUEUED]])
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT x.at, x.status FROM {source.text} ORDER BY x.id", source.parameters)
            rows = cursor.fetchall()
        assert [status for _, status in rows] == [1, 1]
        assert [str(at)[:19] for at, _ in rows] == ["2026-03-04 12:00:00"] * 2
