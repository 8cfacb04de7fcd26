"""What a browser asks to see: the messages that come through a live socket, checked. Pure; must not read anything."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ota_console.core.errors import Invalid

MOST_TASKS: Final = 1_000
"""Rows of one page that are kept current; those beyond it stay as they were loaded."""
MOST_CHARACTERS: Final = 40_000
"""A watch with all of its rows has some 30,000; anything longer is not one."""
PUBLIC_ID: Final = re.compile(r"[0-9A-Za-z]{1,26}")


class Subject(StrEnum):
    """What is watched."""

    BATCH = "batch"
    PACKAGE = "package"
    PACKAGES = "packages"
    BATCHES = "batches"


@dataclass(frozen=True, slots=True)
class Watch:
    """One page's wish. `id` is empty for lists; `tasks` are the rows that stand on a batch's page."""

    subject: Subject
    id: str = ""
    tasks: tuple[str, ...] = ()


def parse_watch(message: Any) -> Watch:
    """`{"watch": {"batch": id, "tasks": [id, …], "revision": n}}`, or package, packages, batches. Raises Invalid.

    The revision is not needed: the answer is always the whole present.
    """
    wish = message.get("watch") if isinstance(message, dict) else None
    if not isinstance(wish, dict):
        raise _bad("watch", "Expected an object.")
    named = [subject for subject in Subject if subject in wish]
    if len(named) != 1:
        raise _bad("watch", "Name one of batch, package, packages, batches.")
    subject = named[0]
    if subject in (Subject.PACKAGES, Subject.BATCHES):
        return Watch(subject)
    tasks = _tasks(wish.get("tasks", [])) if subject is Subject.BATCH else ()
    return Watch(subject, _public_id(wish[subject], subject), tasks)


def _tasks(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _bad("tasks", "Expected a list of ids.")
    return tuple(dict.fromkeys(_public_id(task, "tasks") for task in value[:MOST_TASKS]))


def _public_id(value: Any, field: str) -> str:
    if not isinstance(value, str) or not PUBLIC_ID.fullmatch(value):
        raise _bad(field, "Expected an id.")
    return value


def _bad(field: str, sentence: str) -> Invalid:
    return Invalid("bad_watch", sentence, errors={field: [sentence]})
