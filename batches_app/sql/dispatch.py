"""Statements of the push loop: find due tasks, write claims, give claims back. Both dialects side by side."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from batches_app.domain.states import IN_PROGRESS
from ota_console.core.db import bulk_execute, bulk_fetch, is_postgresql, time_text
from ota_console.core.rows import row_source


class DueRow(NamedTuple):
    """A task that may be claimed, with what the decision needs."""

    id: int
    public_id: str
    device_name: str
    status: int
    push_no: int
    source_version: str
    is_retry_pending: bool
    reason: int
    current_version: str


class Claim(NamedTuple):
    """A claim to write: the task's next push number is `push_no`."""

    id: int
    push_no: int
    source_version: str


_DUE: Final = """
SELECT t.id, t.public_id, t.device_name, t.status, t.push_no, t.source_version, t.is_retry_pending, t.reason,
       coalesce(v.version, '')
FROM batches_app_task t
LEFT JOIN devices_app_moduleversion v ON v.device_id = t.device_id AND v.module_id = t.module_id
WHERE t.batch_id = %s AND t.due_at <= %s AND (t.lease_until IS NULL OR t.lease_until <= %s) {only}
ORDER BY t.due_at, t.id
LIMIT %s {lock}
"""


def due_tasks(*, batch_id: int, now: datetime, limit: int, only_upgrading: bool) -> list[DueRow]:
    """Lock and read due tasks, earliest first; rows that another worker holds are skipped on PostgreSQL.

    `only_upgrading`: in a paused batch only devices in Upgrading are pushed again (rules.md §3).
    """
    only = f"AND t.status = {int(IN_PROGRESS)}" if only_upgrading else ""
    lock = "FOR NO KEY UPDATE OF t SKIP LOCKED" if is_postgresql() else ""
    moment = time_text(now)
    rows = bulk_fetch(_DUE.format(only=only, lock=lock), (batch_id, moment, moment, limit))
    return [DueRow(*row) for row in rows]


def write_claims(claims: Sequence[Claim], *, lease_until: datetime, now: datetime) -> int:
    """Take the next push number, the lease and the source version of an attempt. The rows are locked.

    No indexed column is among them: PostgreSQL writes such a row beside the one it replaces (hot path).
    """
    if not claims:
        return 0
    columns = (("id", "bigint"), ("push_no", "integer"), ("source_version", "text"))
    source = row_source(columns, list(zip(*claims, strict=True)))
    cast = "::timestamptz" if is_postgresql() else ""
    return bulk_execute(
        f"UPDATE batches_app_task SET push_no = x.push_no, lease_until = %s{cast}, not_before = NULL, "
        f"is_retry_pending = false, source_version = x.source_version, updated_at = %s{cast} "
        f"FROM {source.text} WHERE batches_app_task.id = x.id",
        (time_text(lease_until), time_text(now), *source.parameters),
    )


def give_back(claims: Sequence[tuple[int, int]]) -> int:
    """End unused claims (task id, push number) where their token still stands: the tasks are as due as before."""
    if not claims:
        return 0
    source = row_source((("id", "bigint"), ("push_no", "integer")), list(zip(*claims, strict=True)))
    return bulk_execute(
        f"UPDATE batches_app_task SET lease_until = NULL FROM {source.text} "
        "WHERE batches_app_task.id = x.id AND batches_app_task.push_no = x.push_no "
        "AND batches_app_task.lease_until IS NOT NULL AND batches_app_task.due_at IS NOT NULL",
        source.parameters,
    )
