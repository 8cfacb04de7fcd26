"""Named set-based statements about devices, both dialects side by side. Rows travel as one JSON parameter."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ota_console.core.db import (
    bulk_execute,
    bulk_fetch,
    is_postgresql,
    keys_in,
    keys_text,
    record_source,
    rows_text,
    time_text,
)

RESOLVE_COLUMNS: Final = (("pk", "text"), ("dn", "text"))
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
_CONNECTION: Final = ", ".join(f"d.{name}" for name in CONNECTION_COLUMNS)


def read_connections(keys: Iterable[tuple[str, str]]) -> list[tuple[Any, ...]]:
    """By (product key, device name), without a lock: the product key and the `CONNECTION_COLUMNS` of all that exist."""
    body = rows_text([{"pk": product_key, "dn": device_name} for product_key, device_name in keys])
    statement = (
        f"SELECT p.product_key, {_CONNECTION} FROM {record_source(RESOLVE_COLUMNS)} "
        "JOIN devices_app_product p ON p.product_key = x.pk "
        "JOIN devices_app_device d ON d.product_id = p.id AND d.name = x.dn"
    )
    return bulk_fetch(statement, (body,))


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
    """Write what the broker or a message said of connections. Each row: `id` and `PRESENCE_COLUMNS`, times as text."""
    if not rows:
        return 0
    assignments = ", ".join(f"{name} = x.{name}" for name, _ in PRESENCE_COLUMNS)
    source = record_source((("id", "bigint"), *PRESENCE_COLUMNS))
    return bulk_execute(
        f"UPDATE devices_app_device SET {assignments} FROM {source} WHERE devices_app_device.id = x.id",
        (rows_text(rows),),
    )


def upsert_versions(rows: Sequence[tuple[int, int, str, str]], now: datetime) -> None:
    """Store changed versions: (device id, module id, new version, previous version)."""
    if not rows:
        return
    body = [{"device_id": d, "module_id": m, "version": new, "previous": old} for d, m, new, old in rows]
    columns = (("device_id", "bigint"), ("module_id", "bigint"), ("version", "text"), ("previous", "text"))
    cast = "::timestamptz" if is_postgresql() else ""
    bulk_execute(
        "INSERT INTO devices_app_moduleversion (device_id, module_id, version, previous_version, reported_at) "
        f"SELECT x.device_id, x.module_id, x.version, x.previous, %s{cast} "
        f"FROM {record_source(columns)} WHERE true "
        "ON CONFLICT (device_id, module_id) DO UPDATE SET version = excluded.version, "
        "previous_version = excluded.previous_version, reported_at = excluded.reported_at",
        (time_text(now), rows_text(body)),
    )


def insert_log(rows: Sequence[tuple[int, str, str]], now: datetime) -> None:
    """Append to the devices' logs: (device id, reason, detail up to 512 characters)."""
    if not rows:
        return
    body = [{"device_id": device, "reason": reason, "detail": detail[:512]} for device, reason, detail in rows]
    columns = (("device_id", "bigint"), ("reason", "text"), ("detail", "text"))
    cast = "::timestamptz" if is_postgresql() else ""
    bulk_execute(
        "INSERT INTO devices_app_devicelogentry (device_id, at, reason, detail) "
        f"SELECT x.device_id, %s{cast}, x.reason, x.detail FROM {record_source(columns)} WHERE true",
        (time_text(now), rows_text(body)),
    )


def count_drops(counts: Mapping[str, int], now: datetime) -> None:
    """Add to the counters of dropped messages by reason."""
    if not counts:
        return
    body = [{"reason": reason, "count": count} for reason, count in sorted(counts.items())]
    columns = (("reason", "text"), ("count", "bigint"))
    cast = "::timestamptz" if is_postgresql() else ""
    bulk_execute(
        "INSERT INTO devices_app_dropcount (reason, count, last_at) "
        f"SELECT x.reason, x.count, %s{cast} FROM {record_source(columns)} WHERE true "
        "ON CONFLICT (reason) DO UPDATE SET count = devices_app_dropcount.count + excluded.count, "
        "last_at = excluded.last_at",
        (time_text(now), rows_text(body)),
    )
