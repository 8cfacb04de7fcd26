"""Named set-based statements about devices, both dialects side by side. Rows travel as in `core.rows`."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ota_console.core.db import bulk_execute, bulk_fetch, is_postgresql, keys_in, keys_text, time_text
from ota_console.core.rows import row_source, rows_of

RESOLVE_COLUMNS: Final = (("dn", "text"), ("pk", "text"))
PRESENCE_COLUMNS: Final = (
    ("is_online", "boolean"),
    ("session", "text"),
    ("address", "text"),
    ("presence_at", "timestamptz"),
    ("activated_at", "timestamptz"),
    ("last_seen_at", "timestamptz"),
    ("ask_at", "timestamptz"),
)


CONNECTION_COLUMNS: Final = (
    *("id", "public_id", "product_id", "name", "is_enabled"),
    *(name for name, _ in PRESENCE_COLUMNS),
)
"""A device's row as far as its connection is concerned."""
SENDER_COLUMNS: Final = ("id", "public_id", "product_id", "name", "is_enabled", "is_online", "session", "last_seen_at")
"""What tells who sent a message, and whether its row has to be written."""
_CONNECTION: Final = ", ".join(f"d.{name}" for name in CONNECTION_COLUMNS)
_SENDER: Final = ", ".join(f"d.{name}" for name in SENDER_COLUMNS)


def read_senders(keys: Collection[tuple[str, str]]) -> list[tuple[Any, ...]]:
    """By (product key, device name), without a lock: the product key and the `SENDER_COLUMNS` of all that exist."""
    by_name = [(device_name, product_key) for product_key, device_name in keys]
    source = row_source(RESOLVE_COLUMNS, list(zip(*by_name, strict=True)))
    statement = (
        f"SELECT p.product_key, {_SENDER} FROM {source.text} "
        "JOIN devices_app_product p ON p.product_key = x.pk "
        "JOIN devices_app_device d ON d.product_id = p.id AND d.name = x.dn"
    )
    return bulk_fetch(statement, source.parameters)


def lock_connections(ids: Iterable[int]) -> list[tuple[Any, ...]]:
    """Lock device rows in id order and read their `CONNECTION_COLUMNS`."""
    lock = "FOR NO KEY UPDATE" if is_postgresql() else ""
    statement = f"SELECT {_CONNECTION} FROM devices_app_device d WHERE {keys_in('d.id')} ORDER BY d.id {lock}"
    return bulk_fetch(statement, (keys_text(ids),))


def read_versions(devices: Iterable[int]) -> list[tuple[int, int, str]]:
    """What these devices last reported: device id, module id, version."""
    columns = "device_id, module_id, version"
    rows = bulk_fetch(
        f"SELECT {columns} FROM devices_app_moduleversion WHERE {keys_in('device_id')}", (keys_text(devices),)
    )
    return [(device, module, version) for device, module, version in rows]


def update_presence(rows: Sequence[Mapping[str, Any]]) -> int:
    """Write what the broker or a message said of connections. Each row: `id` and `PRESENCE_COLUMNS`."""
    if not rows:
        return 0
    assignments = ", ".join(f"{name} = x.{name}" for name, _ in PRESENCE_COLUMNS)
    source = rows_of((("id", "bigint"), *PRESENCE_COLUMNS), rows)
    return bulk_execute(
        f"UPDATE devices_app_device SET {assignments} FROM {source.text} WHERE devices_app_device.id = x.id",
        source.parameters,
    )


VERSION_COLUMNS: Final = (("device_id", "bigint"), ("module_id", "bigint"), ("version", "text"), ("previous", "text"))


def update_versions(rows: Sequence[tuple[int, int, str, str]], now: datetime) -> None:
    """Store versions that differ from those that these devices reported before: device, module, new, previous.

    The devices are locked. Looking for a conflict, as `insert_versions` does, costs twice as much (hot path).
    """
    if not rows:
        return
    source = row_source(VERSION_COLUMNS, list(zip(*rows, strict=True)))
    bulk_execute(
        "UPDATE devices_app_moduleversion SET version = x.version, previous_version = x.previous, reported_at = %s "
        f"FROM {source.text} WHERE devices_app_moduleversion.device_id = x.device_id "
        "AND devices_app_moduleversion.module_id = x.module_id",
        (time_text(now), *source.parameters),
    )


def insert_versions(rows: Sequence[tuple[int, int, str, str]], now: datetime) -> None:
    """Store first versions of modules of devices, or their later ones: as `update_versions`."""
    if not rows:
        return
    source = row_source(VERSION_COLUMNS, list(zip(*rows, strict=True)))
    cast = "::timestamptz" if is_postgresql() else ""
    bulk_execute(
        "INSERT INTO devices_app_moduleversion (device_id, module_id, version, previous_version, reported_at) "
        f"SELECT x.device_id, x.module_id, x.version, x.previous, %s{cast} FROM {source.text} WHERE true "
        "ON CONFLICT (device_id, module_id) DO UPDATE SET version = excluded.version, "
        "previous_version = excluded.previous_version, reported_at = excluded.reported_at",
        (time_text(now), *source.parameters),
    )


def insert_log(rows: Sequence[tuple[int, str, str]], now: datetime) -> None:
    """Append to the devices' logs: (device id, reason, detail up to 512 characters)."""
    if not rows:
        return
    columns = (("device_id", "bigint"), ("reason", "text"), ("detail", "text"))
    cut = [(device, reason, detail[:512]) for device, reason, detail in rows]
    source = row_source(columns, list(zip(*cut, strict=True)))
    cast = "::timestamptz" if is_postgresql() else ""
    bulk_execute(
        "INSERT INTO devices_app_devicelogentry (device_id, at, reason, detail) "
        f"SELECT x.device_id, %s{cast}, x.reason, x.detail FROM {source.text} WHERE true",
        (time_text(now), *source.parameters),
    )


def count_drops(counts: Mapping[str, int], now: datetime) -> None:
    """Add to the counters of dropped messages by reason."""
    if not counts:
        return
    columns = (("reason", "text"), ("count", "bigint"))
    source = row_source(columns, list(zip(*sorted(counts.items()), strict=True)))
    cast = "::timestamptz" if is_postgresql() else ""
    bulk_execute(
        "INSERT INTO devices_app_dropcount (reason, count, last_at) "
        f"SELECT x.reason, x.count, %s{cast} FROM {source.text} WHERE true "
        "ON CONFLICT (reason) DO UPDATE SET count = devices_app_dropcount.count + excluded.count, "
        "last_at = excluded.last_at",
        (time_text(now), *source.parameters),
    )
