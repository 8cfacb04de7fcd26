"""Device lists: the names that a SPECIFIC batch is for, ticked, typed or uploaded as CSV/TXT (rules.md §4).

Names are resolved in chunks by set-based statements; a list of a million names is never held in memory as objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Final

from ota_console.audit.actor import Actor

MAX_UPLOAD_BYTES: Final = 5 * 1024 * 1024
"""Vendor reference §2.2."""
MAX_NAMES: Final = 1_000_000
"""rules.md §4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedList:
    """A list and what was left out of it; the bad lines are downloadable as CSV `line,name,reason` (`DeviceList.bad_lines`)."""

    device_list_id: int
    public_id: str
    device_count: int
    bad_line_count: int


def create_device_list(*, product: str, names: Sequence[str], actor: Actor, now: datetime) -> CreatedList:
    """A list of the named devices of the product with this product key; unknown, malformed and repeated names become bad lines.

    Raises `NotFound` (product), `Invalid` {"device_names"} where nothing or more than `MAX_NAMES` is named.
    """
    raise NotImplementedError


def upload_device_list(*, product: str, file: BinaryIO, file_name: str, actor: Actor, now: datetime) -> CreatedList:
    """A list from a CSV or TXT file, one device name a line: UTF-8 with or without BOM, any line ends, quotes, a header line.

    Raises `NotFound` (product), `Invalid` {"file"} where the file is larger than `MAX_UPLOAD_BYTES`, names more than
    `MAX_NAMES`, is not UTF-8 text, or names no device at all.
    """
    raise NotImplementedError
