"""The documentation shows the state machine that runs."""

from pathlib import Path

from batches_app.domain.picture import page


def test_the_picture_in_the_docs_is_the_table_that_runs() -> None:
    """`manage.py draw_states` writes it anew."""
    stored = Path(__file__).parents[2] / "docs" / "reference" / "states.md"
    assert stored.read_text(encoding="utf-8") == page()
