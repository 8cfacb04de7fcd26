"""Statements that end the tasks of a batch a slice of keys at a time; both dialects side by side (hotpath.md, Cancel).

One guarded UPDATE a status and slice: the status in its guard tells which counter the rows leave. No line of history a
task: reason and time stand on it, who canceled in the audit, and `selectors.history` adds the line that is shown.
"""

from datetime import datetime
from typing import Final, NamedTuple

from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.sql.fragments import Fragment, execute, fetch, join, statement
from batches_app.sql.launch import ended_as_canceled
from ota_console.core.db import is_postgresql, time_text

LAST_ID: Final = 2**62
"""Beyond every task id."""


class Moved(NamedTuple):
    """How many tasks a statement ended, and how many of them had an offline device."""

    task_count: int
    offline_count: int


def slice_end(batch_id: int, statuses: list[TaskStatus], *, after: int, size: int) -> int:
    """The task id that ends a slice of at most `size` tasks in any one of these states.

    `LAST_ID` where fewer are left.
    """
    ends = [
        Fragment(
            "SELECT id FROM (SELECT id FROM batches_app_task WHERE batch_id = %s AND status = %s AND id > %s "
            "ORDER BY id LIMIT 1 OFFSET %s) x",
            (batch_id, int(status), after, size - 1),
        )
        for status in statuses
    ]
    rows = fetch(statement("SELECT min(id) FROM ({ends}) y", ends=join(" UNION ALL ", ends)))
    return LAST_ID if rows[0][0] is None else int(rows[0][0])


def cancel_slice(
    batch_id: int, status: TaskStatus, *, after: int, through: int, reason: Reason, now: datetime
) -> Moved:
    """End the batch's tasks that are in this state, with ids above `after` up to `through`."""
    update = statement(
        "UPDATE batches_app_task SET {ended} WHERE batch_id = {batch} AND status = {status} AND id > {after} AND id "
        "<= {through} "
        "RETURNING is_offline",
        ended=ended_as_canceled(reason, now),
        batch=Fragment("%s", (batch_id,)),
        status=Fragment("%s", (int(status),)),
        after=Fragment("%s", (after,)),
        through=Fragment("%s", (through,)),
    )
    if is_postgresql():
        counted = "WITH moved AS ({update}) SELECT count(*), count(*) FILTER (WHERE is_offline) FROM moved"
        return Moved(*fetch(statement(counted, update=update))[0])
    offline = [row[0] for row in fetch(update)]
    return Moved(len(offline), sum(offline))


def free_lanes(batch_id: int, product_id: int, *, after: int, through: int, now: datetime) -> int:
    """Queue the devices of a canceled slice for the product's running dynamic batches (rules.md §7)."""
    return execute(
        statement(
            "INSERT INTO batches_app_matchrequest (device_id, module_id, is_new_version, requested_at) "
            f"SELECT DISTINCT t.device_id, b.module_id, false, {{now}} FROM batches_app_task t "
            f"JOIN batches_app_batch b ON b.product_id = {{product}} AND b.selection = 1 "
            f"AND b.status = {BatchStatus.IN_PROGRESS:d} "
            f"WHERE t.batch_id = {{batch}} AND t.status = {TaskStatus.CANCELED:d} AND t.id > {{after}} AND t.id <= "
            f"{{through}} "
            "AND t.ended_at = {now} AND t.device_id IS NOT NULL "
            "ON CONFLICT (device_id, module_id) DO UPDATE SET requested_at = excluded.requested_at",
            now=Fragment("%s::timestamptz" if is_postgresql() else "%s", (time_text(now),)),
            product=Fragment("%s", (product_id,)),
            batch=Fragment("%s", (batch_id,)),
            after=Fragment("%s", (after,)),
            through=Fragment("%s", (through,)),
        )
    )


def has_unfinished(batch_id: int) -> bool:
    """Whether any task of the batch is unfinished; an index look-up."""
    return bool(
        fetch(
            Fragment(
                "SELECT 1 FROM batches_app_task WHERE batch_id = %s AND status IN (0, 1, 2, 3) LIMIT 1",
                (batch_id,),
            )
        )
    )
