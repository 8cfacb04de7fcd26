"""Comparing version strings as people read them. Pure."""

import re
from itertools import zip_longest

_PARTS = re.compile(r"\d+|[A-Za-z]+")


def is_older(version: str, than: str) -> bool:
    """True where `version` comes before `than`, part by part: numbers by value ("1.9" before "1.10"), words by letters.

    Versions have no official order (vendor reference §1.3 allows any text), so this is only used to tell an operator
    that a device seems to have been rolled back (rules.md §7), never to decide an update. An empty `than` has nothing
    before it.
    """
    if not than:
        return False
    for mine, other in zip_longest(_PARTS.findall(version), _PARTS.findall(than), fillvalue=""):
        if mine == other:
            continue
        if mine.isdigit() and other.isdigit():
            if int(mine) != int(other):
                return int(mine) < int(other)
            continue
        return _rank(mine) < _rank(other)
    return False


def _rank(part: str) -> tuple[int, str]:
    """A word ("rc1") comes before nothing, nothing before a number: 1.0-rc1 < 1.0 < 1.0.1."""
    if part.isdigit():
        return (2, part)
    return (0, part) if part else (1, part)
