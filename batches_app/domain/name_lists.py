"""Reading device names out of a CSV or TXT file as people make them. Pure; knows nothing of which devices exist.

One name a line, the first column counts; a byte order mark, any line ends, quotes, blank lines and a header line are
tolerated.
"""

import re
from collections.abc import Iterator
from enum import Enum
from io import StringIO
from typing import Final, NamedTuple

from batches_app.domain.texts import gettext_noop

_NAME: Final = re.compile(r"[A-Za-z0-9_@.:-]{4,32}\Z")
"""Vendor reference §1.1."""
_SEPARATOR: Final = re.compile(r"[,;\t]")
_HEADERS: Final = frozenset({"devicename", "device name", "device_name", "name", "设备名称", "设备名"})
"""Headings that spreadsheets and the vendor's template put over the column."""
_SHOWN: Final = 64
"""Characters of a malformed name that are told back."""


class Bad(Enum):
    """Why a line names no device; the value is for programs, `SENTENCES` is for people."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    DUPLICATE = "duplicate"


SENTENCES: Final = {
    Bad.MALFORMED: gettext_noop("A device name has 4 to 32 letters, digits and the characters - _ @ . :"),
    Bad.UNKNOWN: gettext_noop("The product has no device of this name."),
    Bad.DUPLICATE: gettext_noop("The device is on the list already."),
}


class Line(NamedTuple):
    """A line with something on it. Lines count from 1."""

    number: int
    name: str
    is_well_formed: bool


def read_lines(text: str) -> Iterator[Line]:
    """The names of a file, in order, without blank lines and without a header."""
    is_first = True
    for number, raw in enumerate(StringIO(text.removeprefix("\ufeff"), newline=None), 1):
        name = _first_column(raw)
        if not name:
            continue
        if is_first and name.lower() in _HEADERS:
            is_first = False
            continue
        is_first = False
        is_well_formed = _NAME.match(name) is not None
        yield Line(number, name if is_well_formed else name[:_SHOWN], is_well_formed)


def _first_column(raw: str) -> str:
    line = raw.strip().removeprefix("\ufeff")
    quote = line[:1]
    if quote and quote in "\"'":
        end = line.find(quote, 1)
        return line[1 : end if end > 0 else len(line)].strip()
    return _SEPARATOR.split(line, maxsplit=1)[0].strip()
