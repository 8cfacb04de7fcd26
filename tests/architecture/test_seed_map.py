"""The table of the seed's sentences names tests that exist."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_every_test_that_the_seeds_table_names_exists() -> None:
    """See docs/reference/seed.md."""
    named = NAMED.findall((PROJECT / "docs" / "reference" / "seed.md").read_text(encoding="utf-8"))
    assert len(named) >= 30
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (PROJECT / file).is_file() or f"def {name}" not in (PROJECT / file).read_text(encoding="utf-8")
    ]
    assert missing == []
