"""Statements that write what `domain.states` decided: task facts, history, counters. Both dialects side by side.

Rows travel as a few parameters (`core.rows`). Nothing here decides; nothing here may be called outside a transaction
that has locked the rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from batches_app.domain.states import SUCCEEDED, BatchStatus, TaskFacts
from ota_console.core.db import bulk_execute, bulk_fetch, is_postgresql, keys_in, keys_text, time_text
from ota_console.core.rows import row_source, rows_of

FACT_COLUMNS: Final[tuple[tuple[str, str], ...]] = (
    ("status", "smallint"),
    ("is_offline", "boolean"),
    ("source_version", "text"),
    ("push_no", "integer"),
    ("attempt", "smallint"),
    ("is_retry_pending", "boolean"),
    ("not_before", "timestamptz"),
    ("due_at", "timestamptz"),
    ("lease_until", "timestamptz"),
    ("notified_at", "timestamptz"),
    ("confirmed_at", "timestamptz"),
    ("progress", "smallint"),
    ("progress_text", "text"),
    ("progress_at", "timestamptz"),
    ("first_progress_at", "timestamptz"),
    ("deadline_at", "timestamptz"),
    ("notify_seconds_left", "integer"),
    ("reason", "smallint"),
    ("reason_text", "text"),
    ("ended_at", "timestamptz"),
    ("late_success_at", "timestamptz"),
    ("rolled_back_at", "timestamptz"),
)
"""The columns of a task that a decision may change, with PostgreSQL's types."""
READ_COLUMNS: Final = (
    *("id", "public_id", "batch_id", "device_id", "device_name", "module_id"),
    *(name for name in TaskFacts._fields if name != "policy"),
)
"""What a lock answers, in this order: who the task is, then its facts."""
_KINDS: Final = dict(FACT_COLUMNS)

COUNT_COLUMNS: Final = (
    "confirm",
    "queued",
    "queued_offline",
    "notified",
    "in_progress",
    "succeeded",
    "failed",
    "canceled",
    "late_success",
    "rolled_back",
    "ever_notified",
)


def lock_ids(ids: Iterable[int]) -> list[tuple[Any, ...]]:
    """Lock these tasks in id order; their `READ_COLUMNS`."""
    return _lock(keys_in("id"), ids)


def lock_open(devices: Iterable[int]) -> list[tuple[Any, ...]]:
    """Lock the unfinished tasks of these devices in id order."""
    return _lock(f"{keys_in('device_id')} AND status < {SUCCEEDED:d}", devices)


def lock_ended(devices: Iterable[int]) -> list[tuple[Any, ...]]:
    """Lock the ended tasks of these devices that a version report may still mark, in id order."""
    marked = "late_success_at IS NULL AND rolled_back_at IS NULL"
    return _lock(f"{keys_in('device_id')} AND status >= {SUCCEEDED:d} AND {marked}", devices)


def _lock(condition: str, keys: Iterable[int]) -> list[tuple[Any, ...]]:
    lock = "FOR NO KEY UPDATE" if is_postgresql() else ""
    columns = ", ".join(READ_COLUMNS)
    statement = f"SELECT {columns} FROM batches_app_task WHERE {condition} ORDER BY id {lock}"
    return bulk_fetch(statement, (keys_text(keys),))


def update_facts(ids: Sequence[int], columns: Sequence[str], cells: Sequence[Sequence[Any]], now: datetime) -> int:
    """Write fact columns of locked tasks; `cells[i]` holds the values of `columns[i]`, in the order of the ids.

    Name no column that stays: an update that touches no indexed one happens in place on PostgreSQL (hot path).
    """
    if not ids:
        return 0
    assignments = "".join(f"{name} = x.{name}, " for name in columns)
    source = row_source((("id", "bigint"), *((name, _KINDS[name]) for name in columns)), (ids, *cells))
    return bulk_execute(
        f"UPDATE batches_app_task SET {assignments}updated_at = %s FROM {source.text} WHERE batches_app_task.id = x.id",
        (time_text(now), *source.parameters),
    )


HISTORY_COLUMNS: Final = (
    ("task_id", "bigint"),
    ("at", "timestamptz"),
    ("kind", "smallint"),
    ("status", "smallint"),
    ("detail", "jsonb"),
)


def insert_history(lines: Sequence[tuple[int, datetime, int, int, Mapping[str, Any]]]) -> int:
    """Append lines to tasks' history in the given order; the values of `HISTORY_COLUMNS`."""
    if not lines:
        return 0
    source = row_source(HISTORY_COLUMNS, list(zip(*lines, strict=True)))
    return bulk_execute(
        "INSERT INTO batches_app_taskevent (task_id, at, kind, status, detail) "
        f"SELECT x.task_id, x.at, x.kind, x.status, x.detail FROM {source.text}",
        source.parameters,
    )


def move_counts(table: str, key: str, deltas: Mapping[int, Mapping[str, int]]) -> None:
    """Add deltas to counter rows, one statement a row, in key order (the lock order of the architecture)."""
    for owner in sorted(deltas):
        changes = {name: delta for name, delta in deltas[owner].items() if delta}
        assignments = "".join(f"{name} = {name} + %s, " for name in changes)
        statement = f"UPDATE {table} SET {assignments}revision = revision + 1 WHERE {key} = %s"
        bulk_execute(statement, (*changes.values(), owner))


def move_batch_counts(deltas: Mapping[int, Mapping[str, int]]) -> None:
    """Deltas of `COUNT_COLUMNS` by batch id; every named batch gets a new revision, also with empty deltas."""
    move_counts("batches_app_batchcounts", "batch_id", deltas)


def move_package_counts(deltas: Mapping[int, Mapping[str, int]]) -> None:
    """Deltas of `COUNT_COLUMNS` by package id."""
    move_counts("batches_app_packagecounts", "package_id", deltas)


def move_failure_counts(deltas: Mapping[tuple[int, int, str], int]) -> None:
    """Deltas by (batch id, reason, source version); missing rows are made."""
    rows = [
        {"batch_id": batch, "reason": reason, "source_version": version, "count": delta}
        for (batch, reason, version), delta in sorted(deltas.items())
        if delta
    ]
    if not rows:
        return
    columns = (("batch_id", "bigint"), ("reason", "smallint"), ("source_version", "text"), ("count", "integer"))
    names = ", ".join(name for name, _ in columns)
    picked = ", ".join(f"x.{name}" for name, _ in columns)
    empty, moved = rows_of(columns, [{**row, "count": 0} for row in rows]), rows_of(columns, rows)
    bulk_execute(  # rows first: an upsert of a negative delta would trip the check constraint before it adds
        f"INSERT INTO batches_app_failurecount ({names}) SELECT {picked} FROM {empty.text} WHERE true "
        "ON CONFLICT (batch_id, reason, source_version) DO NOTHING",
        empty.parameters,
    )
    bulk_execute(
        "UPDATE batches_app_failurecount SET count = batches_app_failurecount.count + x.count "
        f"FROM {moved.text} "
        "WHERE batches_app_failurecount.batch_id = x.batch_id AND batches_app_failurecount.reason = x.reason "
        "AND batches_app_failurecount.source_version = x.source_version",
        moved.parameters,
    )


def dynamic_lanes(products: Iterable[int]) -> set[tuple[int, int]]:
    """(product id, module id) of these products' running dynamic batches; few, by a partial index."""
    running = f"selection = 1 AND status = {BatchStatus.IN_PROGRESS:d}"
    statement = f"SELECT product_id, module_id FROM batches_app_batch WHERE {running} AND {keys_in('product_id')}"
    return {(product, module) for product, module in bulk_fetch(statement, (keys_text(products),))}


def request_matches(rows: Iterable[tuple[int, int]], *, is_new_version: bool, now: datetime) -> None:
    """Queue (device id, module id) pairs for the dynamic batches.

    A new version outranks a request that only freed a lane.
    """
    pairs = sorted(set(rows))
    if not pairs:
        return
    source = row_source((("device_id", "bigint"), ("module_id", "bigint")), list(zip(*pairs, strict=True)))
    flag = "true" if is_new_version else "false"
    either = "batches_app_matchrequest.is_new_version OR excluded.is_new_version"
    bulk_execute(
        "INSERT INTO batches_app_matchrequest (device_id, module_id, is_new_version, requested_at) "
        f"SELECT x.device_id, x.module_id, {flag}, %s{'::timestamptz' if is_postgresql() else ''} "
        f"FROM {source.text} WHERE true "
        f"ON CONFLICT (device_id, module_id) DO UPDATE SET is_new_version = ({either}), "
        "requested_at = excluded.requested_at",
        (time_text(now), *source.parameters),
    )
