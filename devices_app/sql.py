"""Named set-based statements about devices, both dialects side by side. Rows travel as one JSON parameter."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
from django.db import connection

from ota_console.core.db import is_postgresql, record_source, time_text


class DeviceKey(NamedTuple):
    """How a device is named on the wire."""

    product_key: str
    device_name: str


RESOLVE_COLUMNS: Final = (("pk", "text"), ("dn", "text"))
PRESENCE_COLUMNS: Final = (
    ("is_online", "boolean"),
    ("session", "text"),
    ("address", "text"),
    ("presence_at", "timestamptz"),
    ("activated_at", "timestamptz"),
    ("last_seen_at", "timestamptz"),
)


def resolve_devices(keys: Iterable[DeviceKey]) -> dict[DeviceKey, int]:
    """Device ids by product key and device name in one query; unknown ones are missing."""
    body = orjson.dumps([{"pk": key.product_key, "dn": key.device_name} for key in keys]).decode()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.product_key, d.name, d.id "
            f"FROM {record_source(RESOLVE_COLUMNS)} "
            "JOIN devices_app_product p ON p.product_key = x.pk "
            "JOIN devices_app_device d ON d.product_id = p.id AND d.name = x.dn",
            (body,),
        )
        return {DeviceKey(row[0], row[1]): row[2] for row in cursor.fetchall()}


def update_presence(rows: Sequence[Mapping[str, Any]]) -> int:
    """Write what the broker or a message said of connections. Each row: `id` and `PRESENCE_COLUMNS`, times as text."""
    if not rows:
        return 0
    assignments = ", ".join(f"{name} = x.{name}" for name, _ in PRESENCE_COLUMNS)
    source = record_source((("id", "bigint"), *PRESENCE_COLUMNS))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE devices_app_device SET {assignments} FROM {source} WHERE devices_app_device.id = x.id",
            (orjson.dumps(rows).decode(),),
        )
        return int(cursor.rowcount)


def upsert_versions(rows: Sequence[tuple[int, int, str, str]], now: datetime) -> None:
    """Store changed versions: (device id, module id, new version, previous version)."""
    if not rows:
        return
    body = [{"device_id": d, "module_id": m, "version": new, "previous": old} for d, m, new, old in rows]
    columns = (("device_id", "bigint"), ("module_id", "bigint"), ("version", "text"), ("previous", "text"))
    cast = "::timestamptz" if is_postgresql() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO devices_app_moduleversion (device_id, module_id, version, previous_version, reported_at) "
            f"SELECT x.device_id, x.module_id, x.version, x.previous, %s{cast} "
            f"FROM {record_source(columns)} WHERE true "
            "ON CONFLICT (device_id, module_id) DO UPDATE SET version = excluded.version, "
            "previous_version = excluded.previous_version, reported_at = excluded.reported_at",
            (time_text(now), orjson.dumps(body).decode()),
        )


def insert_log(rows: Sequence[tuple[int, str, str]], now: datetime) -> None:
    """Append to the devices' logs: (device id, reason, detail up to 512 characters)."""
    if not rows:
        return
    body = [{"device_id": device, "reason": reason, "detail": detail[:512]} for device, reason, detail in rows]
    columns = (("device_id", "bigint"), ("reason", "text"), ("detail", "text"))
    cast = "::timestamptz" if is_postgresql() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO devices_app_devicelogentry (device_id, at, reason, detail) "
            f"SELECT x.device_id, %s{cast}, x.reason, x.detail FROM {record_source(columns)} WHERE true",
            (time_text(now), orjson.dumps(body).decode()),
        )


def count_drops(counts: Mapping[str, int], now: datetime) -> None:
    """Add to the counters of dropped messages by reason."""
    if not counts:
        return
    body = [{"reason": reason, "count": count} for reason, count in sorted(counts.items())]
    columns = (("reason", "text"), ("count", "bigint"))
    cast = "::timestamptz" if is_postgresql() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO devices_app_dropcount (reason, count, last_at) "
            f"SELECT x.reason, x.count, %s{cast} FROM {record_source(columns)} WHERE true "
            "ON CONFLICT (reason) DO UPDATE SET count = devices_app_dropcount.count + excluded.count, "
            "last_at = excluded.last_at",
            (time_text(now), orjson.dumps(body).decode()),
        )
