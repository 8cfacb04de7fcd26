from typing import Any

import pytest

from ota_console.core.errors import Invalid
from ota_console.live.watches import MOST_TASKS, Subject, Watch, parse_watch

BATCH = "0FvL8Zk3cQe5rTtYbN1mA7xWsD"
TASK = "0FvL8Zk3cQe5rTtYbN1mA7xWsE"


def test_a_batch_is_watched_with_its_rows() -> None:
    """A row that is named twice is read once; the revision is accepted and not needed."""
    asked = {"watch": {"batch": BATCH, "tasks": [TASK, TASK], "revision": 5}}
    assert parse_watch(asked) == Watch(Subject.BATCH, BATCH, (TASK,))


@pytest.mark.parametrize(
    ("wish", "watch"),
    [
        ({"package": BATCH}, Watch(Subject.PACKAGE, BATCH)),
        ({"packages": True}, Watch(Subject.PACKAGES)),
        ({"batches": True}, Watch(Subject.BATCHES)),
        ({"batch": BATCH}, Watch(Subject.BATCH, BATCH)),
    ],
)
def test_packages_and_lists_are_watched(wish: dict[str, Any], watch: Watch) -> None:
    """One of four subjects."""
    assert parse_watch({"watch": wish}) == watch


def test_rows_beyond_the_bound_are_left_out() -> None:
    """A page with a hundred thousand loaded rows gets frames for the first thousand."""
    tasks = [f"{number:026d}" for number in range(MOST_TASKS + 5)]
    assert len(parse_watch({"watch": {"batch": BATCH, "tasks": tasks}}).tasks) == MOST_TASKS


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        {},
        {"watch": None},
        {"watch": {}},
        {"watch": {"batch": BATCH, "package": BATCH}},
        {"watch": {"batch": 5}},
        {"watch": {"batch": "a.b"}},
        {"watch": {"batch": "0" * 27}},
        {"watch": {"batch": BATCH, "tasks": "x"}},
        {"watch": {"batch": BATCH, "tasks": [5]}},
    ],
)
def test_anything_else_is_refused(message: Any) -> None:
    """What a browser may send is never trusted: an id becomes part of a group's name."""
    with pytest.raises(Invalid):
        parse_watch(message)
