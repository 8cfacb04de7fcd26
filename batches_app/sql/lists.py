"""Statements that turn names into a device list, a chunk at a time, both dialects."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from batches_app.sql.fragments import Fragment, execute, fetch
from ota_console.core.rows import row_source

_COLUMNS: Final = (("line", "integer"), ("name", "text"))


class LeftOut(NamedTuple):
    """A line of a chunk that adds no device: nobody has the name, or the device is on the list already."""

    line: int
    name: str
    is_known: bool


def left_out(list_id: int, product_id: int, chunk: Sequence[tuple[int, str]]) -> list[LeftOut]:
    """Which (line, name) pairs of a chunk add nothing to the list as it stands."""
    if not chunk:
        return []
    source = row_source(_COLUMNS, list(zip(*chunk, strict=True)))
    return [
        LeftOut(line, name, bool(is_known))
        for line, name, is_known in fetch(
            Fragment(
                f"SELECT x.line, x.name, d.id IS NOT NULL FROM {source.text} "
                "LEFT JOIN devices_app_device d ON d.product_id = %s AND d.name = x.name "
                "LEFT JOIN batches_app_devicelistentry e ON e.device_list_id = %s AND e.device_id = d.id "
                "WHERE d.id IS NULL OR e.id IS NOT NULL ORDER BY x.line",
                (*source.parameters, product_id, list_id),
            )
        )
    ]


def add_entries(list_id: int, product_id: int, chunk: Sequence[tuple[int, str]]) -> int:
    """Put the devices with these names on the list; how many came new."""
    if not chunk:
        return 0
    source = row_source(_COLUMNS, list(zip(*chunk, strict=True)))
    return execute(
        Fragment(
            "INSERT INTO batches_app_devicelistentry (device_list_id, device_id) "
            f"SELECT %s, d.id FROM {source.text} "
            "CROSS JOIN devices_app_device d WHERE d.product_id = %s AND d.name = x.name "  # SQLite keeps its order
            "ON CONFLICT (device_list_id, device_id) DO NOTHING",
            (list_id, *source.parameters, product_id),
        )
    )
