"""The table of the seed's sentences names pages and tests that exist."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest
from django.urls import resolve

PROJECT: Final = Path(__file__).resolve().parents[2]
TABLE: Final = (PROJECT / "docs/reference/seed.md").read_text(encoding="utf-8")
ID: Final = "0" * 26
TESTS: Final = sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", TABLE)))
PAGES: Final = sorted(set(re.findall(r"`(/[^`?]*)[^`]*`", TABLE)))


def names_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_table_has_rows() -> None:
    """So that the checks below are not empty."""
    assert (len(TESTS) > 40, len(PAGES) > 8) == (True, True)


@pytest.mark.parametrize("test", TESTS)
def test_every_named_test_exists(test: str) -> None:
    """Renamed tests are renamed in the table."""
    file, _, name = test.partition("::")
    assert name in names_of(PROJECT / file)


@pytest.mark.parametrize("page", PAGES)
def test_every_named_page_exists(page: str) -> None:
    """An address of the console or of the API."""
    assert resolve(re.sub(r"<\w+>", ID, page)).func is not None


def test_every_row_names_a_test() -> None:
    """But for what the table itself says is missing."""
    rows = [line for line in TABLE.splitlines() if line.startswith("| ") and "| Sentence |" not in line]
    assert [row for row in rows if "::" not in row and "not part of this release" not in row] == []
