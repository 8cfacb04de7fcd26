"""Which bytes of a file a conditional or partial request gets (RFC 9110 §13, §14). Pure.

One range only: several ranges are answered with the whole file, which the RFC allows and devices never ask for.
"""

import re
from dataclasses import dataclass
from typing import Final

_SINGLE_RANGE: Final = re.compile(
    r"bytes[ \t]*=[ \t]*(?:([0-9]{1,19})-([0-9]{0,19})|-([0-9]{1,19}))[ \t]*", re.ASCII | re.IGNORECASE
)
_OPAQUE_TAG: Final = re.compile(r'(?:W/)?("[^"]*")')


@dataclass(frozen=True, slots=True)
class Span:
    """`length` bytes from `start`, counted from 0."""

    start: int
    length: int

    @property
    def last(self) -> int:
        """Position of the last byte."""
        return self.start + self.length - 1


class Unsatisfiable:
    """The range starts behind the end of the file, or asks for its last 0 bytes."""


def requested_span(header: str | None, size: int) -> Span | Unsatisfiable | None:
    """What a Range header asks of a file of `size` ≥ 1 bytes; None: the whole (no, malformed, or several ranges)."""
    match = _SINGLE_RANGE.fullmatch(header or "")
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return _last_bytes(int(suffix), size)
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    return Unsatisfiable() if start >= size else Span(start, end - start + 1)


def _last_bytes(count: int, size: int) -> Span | Unsatisfiable:
    length = min(count, size)
    return Span(size - length, length) if length else Unsatisfiable()


def is_range_current(if_range: str | None, etag: str) -> bool:
    """Whether the client's partial copy is of this file. Strong comparison; we send no dates, so none matches."""
    return if_range is None or if_range.strip() == etag


def is_unchanged(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has the file already: 304."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in _OPAQUE_TAG.findall(if_none_match)
