"""Statements that write a slice of a batch's tasks; both dialects side by side. Nothing here decides who is in.

They run in one transaction, in this order: devices, batch, open tasks, then the writes. The slice's range stands on the
task's device id too: otherwise the planner reads all open tasks for every slice (hot path).
"""

from collections import Counter
from datetime import datetime
from typing import Final, NamedTuple

from batches_app.domain.states import BatchStatus, EventKind, Reason, TaskStatus
from batches_app.sql.fragments import Fragment, execute, fetch, statement
from ota_console.core.db import is_postgresql, time_text

INSERT_COLUMNS: Final = (
    "public_id, batch_id, device_id, device_name, module_id, match_no, is_multi_module, blocker_id, status, "
    "is_offline, "
    "timeout_minutes, source_version, not_before, due_at, reason, ended_at, created_at, updated_at"
)


class Slice(NamedTuple):
    """A slice of a scope as SQL (`d` device, `v` version row or null) with the rules of its lane."""

    source: Fragment
    where: Fragment
    after: int
    through: int
    lane: Fragment
    """Whether the open task `o` holds the lane."""
    overwritable: Fragment
    """Whether the open task `o` gives way."""
    stuck: Fragment
    """Whether another open task `s` of the same device holds the lane and does not give way."""


class NewTask(NamedTuple):
    """What all tasks of a slice have in common."""

    batch_id: int
    batch_public_id: str
    module_id: int
    is_multi_module: bool
    status: TaskStatus
    timeout_minutes: int | None
    not_before: datetime | None
    due_at: datetime | None
    """When a task of an online device may be pushed; None: not by itself (confirmation, push off)."""
    id_prefix: str
    """The first eight characters of the public ids: base-62, sortable by time."""
    now: datetime


class Overwritten(NamedTuple):
    """Open tasks of the slice's devices, by batch and facts."""

    batch_id: int
    package_id: int
    status: TaskStatus
    is_offline: bool
    gives_way: bool
    task_count: int


class Inserted(NamedTuple):
    """How many tasks were written, and how many of them for offline devices."""

    task_count: int
    offline_count: int


def _time(moment: datetime | None) -> Fragment:
    return Fragment("%s::timestamptz" if is_postgresql() else "%s", (time_text(moment),))


def _range(part: Slice, column: str) -> Fragment:
    return Fragment(f"{column} > %s AND {column} <= %s", (part.after, part.through))


def lock_devices(part: Slice) -> int:
    """Lock the slice's devices in id order; how many match. SQLite has one writer and only counts."""
    lock = "FOR NO KEY UPDATE OF d" if is_postgresql() else ""
    rows = fetch(
        statement(
            f"SELECT count(*) FROM (SELECT d.id FROM {{source}} WHERE {{where}} ORDER BY d.id {lock}) x",
            source=part.source,
            where=part.where,
        )
    )
    return int(rows[0][0])


class BatchState(NamedTuple):
    """The batch's row, locked."""

    status: BatchStatus
    cancel_mask: int
    launch_state: int
    launch_cursor: int
    launch_through: int


def lock_batch(batch_id: int) -> BatchState | None:
    """Lock the batch's row and read what a writer of tasks must obey (rules.md §3); None: deleted."""
    lock = " FOR NO KEY UPDATE" if is_postgresql() else ""
    rows = fetch(
        Fragment(
            "SELECT status, cancel_mask, launch_state, launch_cursor, launch_through FROM batches_app_batch "
            f"WHERE id = %s{lock}",
            (batch_id,),
        )
    )
    return BatchState(BatchStatus(rows[0][0]), *rows[0][1:]) if rows else None


def lock_open_tasks(part: Slice) -> list[Overwritten]:
    """Lock the open tasks that hold the slice's lanes, in id order, and count them by batch and facts."""
    lock = "FOR NO KEY UPDATE OF o" if is_postgresql() else ""
    rows = fetch(
        statement(
            "SELECT x.batch_id, b.package_id, x.status, x.is_offline, x.gives_way, count(*) FROM ("
            "SELECT o.batch_id, o.status, o.is_offline, "
            "CASE WHEN {overwritable} AND NOT EXISTS (SELECT 1 FROM batches_app_task s WHERE s.device_id = o.device_id "
            "AND {stuck}) THEN 1 ELSE 0 END AS gives_way "
            "FROM batches_app_task o, {source} WHERE {where} AND o.device_id = d.id AND {range} AND {lane} "
            f"ORDER BY o.id {lock}) x "
            "JOIN batches_app_batch b ON b.id = x.batch_id GROUP BY 1, 2, 3, 4, 5 ORDER BY 1",
            overwritable=part.overwritable,
            stuck=part.stuck,
            source=part.source,
            where=part.where,
            range=_range(part, "o.device_id"),
            lane=part.lane,
        )
    )
    return [Overwritten(b, p, TaskStatus(s), bool(off), bool(way), n) for b, p, s, off, way, n in rows]


def _giving_way(part: Slice) -> Fragment:
    return statement(
        "SELECT o.id FROM batches_app_task o, {source} WHERE {where} AND o.device_id = d.id AND {range} AND {lane} "
        "AND {overwritable} AND NOT EXISTS (SELECT 1 FROM batches_app_task s WHERE s.device_id = o.device_id AND "
        "{stuck})",
        source=part.source,
        where=part.where,
        range=_range(part, "o.device_id"),
        lane=part.lane,
        overwritable=part.overwritable,
        stuck=part.stuck,
    )


def overwrite(part: Slice, task: NewTask) -> int:
    """End the open tasks that give way as CANCELED OVERWRITTEN, with a line of history each; how many."""
    detail = f'{{"reason": {Reason.OVERWRITTEN:d}, "batch": "{task.batch_public_id}"}}'
    execute(
        statement(
            "INSERT INTO batches_app_taskevent (task_id, at, kind, status, detail) "
            f"SELECT y.id, {{now}}, {EventKind.ENDED:d}, {TaskStatus.CANCELED:d}, {{detail}} FROM ({{ids}}) y ORDER "
            "BY y.id",
            now=_time(task.now),
            detail=Fragment("%s::jsonb" if is_postgresql() else "%s", (detail,)),
            ids=_giving_way(part),
        )
    )
    return execute(
        statement(
            f"UPDATE batches_app_task SET {{ended}} WHERE id IN ({{ids}}) AND status < {TaskStatus.IN_PROGRESS:d}",
            ended=ended_as_canceled(Reason.OVERWRITTEN, task.now),
            ids=_giving_way(part),
        )
    )


def ended_as_canceled(reason: Reason, now: datetime) -> Fragment:
    """The assignments of a bulk cancel: what `domain.states` does to a task on `Cancel`."""
    return statement(
        f"status = {TaskStatus.CANCELED:d}, reason = {reason:d}, reason_text = '', ended_at = {{now}}, updated_at = "
        f"{{now}}, "
        "due_at = NULL, lease_until = NULL, not_before = NULL, deadline_at = NULL, notify_seconds_left = NULL, "
        "is_retry_pending = false",
        now=_time(now),
    )


def _random_id(prefix: str) -> Fragment:
    """The prefix and 18 random hex digits: 26 characters, 66 random bits."""
    if is_postgresql():
        return Fragment("%s || right(replace(gen_random_uuid()::text, '-', ''), 18)", (prefix,))
    return Fragment("%s || lower(hex(randomblob(9)))", (prefix,))


def insert_conflicts(part: Slice, task: NewTask, match_no: Fragment) -> Counter[str]:
    """Write the tasks that fail at once because an older one holds the lane (seed); how many by source version."""
    rows = fetch(
        statement(
            f"INSERT INTO batches_app_task ({INSERT_COLUMNS}) SELECT {{id}}, {{batch}}, d.id, d.name, {{module}}, "
            f"{{match}}, "
            f"{{multi}}, o.id, {TaskStatus.FAILED:d}, NOT d.is_online, {{timeout}}, coalesce(v.version, ''), NULL, "
            "NULL, "
            f"{Reason.CONFLICT:d}, {{now}}, {{now}}, {{now}} "
            "FROM {source} JOIN (SELECT o.device_id, min(o.id) AS id FROM batches_app_task o WHERE {lane} AND {range} "
            "GROUP BY o.device_id) o ON o.device_id = d.id WHERE {where} ORDER BY d.id RETURNING source_version",
            **_common(part, task, match_no),
        )
    )
    return Counter(version for (version,) in rows)


def count_busy(part: Slice) -> int:
    """How many of the slice's devices are left out because their lane is held."""
    rows = fetch(
        statement(
            "SELECT count(*) FROM {source} WHERE {where} AND EXISTS (SELECT 1 FROM batches_app_task o "
            "WHERE o.device_id = d.id AND {range} AND {lane})",
            source=part.source,
            where=part.where,
            range=_range(part, "o.device_id"),
            lane=part.lane,
        )
    )
    return int(rows[0][0])


def _common(part: Slice, task: NewTask, match_no: Fragment) -> dict[str, Fragment]:
    return {
        "id": _random_id(task.id_prefix),
        "batch": Fragment("%s", (task.batch_id,)),
        "module": Fragment("%s", (task.module_id,)),
        "match": match_no,
        "multi": Fragment("true" if task.is_multi_module else "false"),
        "timeout": Fragment("%s::smallint" if is_postgresql() else "%s", (task.timeout_minutes,)),
        "not_before": _time(task.not_before),
        "due": _time(task.due_at),
        "now": _time(task.now),
        "source": part.source,
        "where": part.where,
        "lane": part.lane,
        "range": _range(part, "o.device_id"),
    }


def insert_free(part: Slice, task: NewTask, match_no: Fragment) -> Inserted:
    """Write the tasks of all devices of the slice whose lane nothing holds. Facts come from the device as it is now."""
    insert = statement(
        f"INSERT INTO batches_app_task ({INSERT_COLUMNS}) SELECT {{id}}, {{batch}}, d.id, d.name, {{module}}, "
        f"{{match}}, "
        f"{{multi}}, NULL, {task.status:d}, NOT d.is_online, {{timeout}}, coalesce(v.version, ''), {{not_before}}, "
        "CASE WHEN d.is_online THEN {due} END, 0, NULL, {now}, {now} "
        "FROM {source} WHERE {where} AND NOT EXISTS (SELECT 1 FROM batches_app_task o "
        "WHERE o.device_id = d.id AND {range} AND {lane}) ORDER BY d.id RETURNING is_offline",
        **_common(part, task, match_no),
    )
    if is_postgresql():
        counted = statement(
            "WITH written AS ({insert}) SELECT count(*), count(*) FILTER (WHERE is_offline) FROM written", insert=insert
        )
        return Inserted(*fetch(counted)[0])
    offline = [row[0] for row in fetch(insert)]
    return Inserted(len(offline), sum(offline))
