"""Statements that look for what should not be.

Tasks that missed an event, and counters that differ from their tasks.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from batches_app.domain.states import TaskStatus
from batches_app.sql.fragments import Fragment, execute, fetch, statement
from ota_console.core.db import is_postgresql, keys_in, keys_text, time_text

MISSED: Final = (
    "t.is_offline = d.is_online OR v.version = b.target_version "
    f"OR (NOT t.is_offline AND t.due_at IS NULL AND b.needs_push AND (t.status = {TaskStatus.QUEUED:d} OR "
    "t.is_retry_pending))"
)
"""An open task that missed a connection or a report of the target version, or which waits for nothing."""

_OPEN: Final = (
    "FROM batches_app_task t JOIN batches_app_batch b ON b.id = t.batch_id JOIN devices_app_device d ON d.id = "
    "t.device_id "
    "LEFT JOIN devices_app_moduleversion v ON v.device_id = t.device_id AND v.module_id = t.module_id "
)


class Missed(NamedTuple):
    """An open task to be looked at again."""

    task_id: int
    device_id: int


def moved_devices(after: int, through: int, since: datetime) -> list[int]:
    """Devices of a slice just launched that connected, went or reported since; hardly ever any."""
    moment = Fragment("%s::timestamptz" if is_postgresql() else "%s", (time_text(since),))
    rows = fetch(
        statement(
            "SELECT id FROM devices_app_device WHERE id > {after} AND id <= {through} AND presence_at >= {since} "
            "UNION SELECT device_id FROM devices_app_moduleversion "
            "WHERE device_id > {after} AND device_id <= {through} AND reported_at >= {since}",
            after=Fragment("%s", (after,)),
            through=Fragment("%s", (through,)),
            since=moment,
        )
    )
    return [row[0] for row in rows]


def missed_of_devices(batch_id: int, devices: Sequence[int]) -> list[Missed]:
    """Open tasks of these devices in the batch that missed an event."""
    rows = fetch(
        Fragment(
            f"SELECT t.id, t.device_id {_OPEN} WHERE t.batch_id = %s AND {keys_in('t.device_id')} "
            f"AND t.status < {TaskStatus.SUCCEEDED:d} AND ({MISSED}) ORDER BY t.id",
            (batch_id, keys_text(devices)),
        )
    )
    return [Missed(*row) for row in rows]


def open_slice_end(batch_id: int, *, after: int, size: int) -> int | None:
    """The id of the `size`-th open task of a batch above `after`, or of the last one; None: there is none."""
    rows = fetch(
        Fragment(
            "SELECT max(id) FROM (SELECT id FROM batches_app_task WHERE batch_id = %s AND status IN (0, 1, 2, 3) AND "
            "id > %s "
            "ORDER BY id LIMIT %s) x",
            (batch_id, after, size),
        )
    )
    return None if rows[0][0] is None else int(rows[0][0])


def missed_open(batch_id: int, after: int, through: int) -> list[Missed]:
    """In a slice of open tasks: those that missed an event."""
    rows = fetch(
        Fragment(
            f"SELECT t.id, t.device_id {_OPEN} WHERE t.batch_id = %s AND t.status IN (0, 1, 2, 3) "
            f"AND t.id > %s AND t.id <= %s AND ({MISSED}) ORDER BY t.id",
            (batch_id, after, through),
        )
    )
    return [Missed(*row) for row in rows]


class Difference(NamedTuple):
    """A counter that is not what its tasks say."""

    counter: str
    """`batch`, `package` or `failures`."""
    owner: str
    """Public id of the batch or package; for failures with reason and source version."""
    column: str
    stored: int
    counted: int


_COUNTED: Final = {
    "confirm": "status = 0",
    "queued": "status = 1",
    "queued_offline": "status = 1 AND is_offline",
    "notified": "status = 2",
    "in_progress": "status = 3",
    "succeeded": "status = 4",
    "failed": "status = 5",
    "canceled": "status = 6",
    "late_success": "late_success_at IS NOT NULL",
    "rolled_back": "rolled_back_at IS NOT NULL",
    "ever_notified": "notified_at IS NOT NULL",
}


_NAMES: Final = tuple(_COUNTED)
_SUMS: Final = ", ".join(f"sum(CASE WHEN {rule} THEN 1 ELSE 0 END) AS {name}" for name, rule in _COUNTED.items())


def _compared(kind: str, counters: str, owners: str, key: str, counted: str) -> str:
    """One row an owner: all stored counters, then all counted ones; only where any differs."""
    stored = ", ".join(f"coalesce(c.{name}, 0)" for name in _NAMES)
    found = ", ".join(f"coalesce(t.{name}, 0)" for name in _NAMES)
    differs = " OR ".join(f"coalesce(c.{name}, 0) <> coalesce(t.{name}, 0)" for name in _NAMES)
    return (
        f"SELECT '{kind}', o.public_id, {stored}, {found} FROM {owners} o LEFT JOIN {counters} c ON c.{key} = o.id "
        f"LEFT JOIN {counted} t ON t.owner_id = o.id WHERE {differs}"
    )


_ZEROS: Final = ", ".join(["0"] * (len(_NAMES) - 1))
_FAILURES: Final = (
    f"SELECT 'failures', max(b.public_id) || ' ' || x.reason || ' ' || x.source_version, sum(x.stored), {_ZEROS}, "
    f"sum(x.counted), {_ZEROS} "
    "FROM (SELECT batch_id, reason, source_version, count AS stored, 0 AS counted FROM batches_app_failurecount "
    "UNION ALL "
    f"SELECT batch_id, reason, source_version, 0, 1 FROM batches_app_task WHERE status = {TaskStatus.FAILED:d}) x "
    "JOIN batches_app_batch b ON b.id = x.batch_id "
    "GROUP BY x.batch_id, x.reason, x.source_version HAVING sum(x.stored) <> sum(x.counted)"
)
_ORPHANS: Final = (
    f"SELECT 'history', 'lines without a device update', count(*), {_ZEROS}, 0, {_ZEROS} FROM batches_app_taskevent e "
    "LEFT JOIN batches_app_task t ON t.id = e.task_id WHERE t.id IS NULL HAVING count(*) > 0"
)
_DIFFERENCES: Final = (
    f"WITH by_batch AS (SELECT batch_id AS owner_id, {_SUMS} FROM batches_app_task GROUP BY batch_id), "
    f"by_package AS (SELECT b.package_id AS owner_id, {', '.join(f'sum(t.{name}) AS {name}' for name in _NAMES)} "
    "FROM by_batch t JOIN batches_app_batch b ON b.id = t.owner_id GROUP BY b.package_id) "
    + _compared("batch", "batches_app_batchcounts", "batches_app_batch", "batch_id", "by_batch")
    + " UNION ALL "
    + _compared("package", "batches_app_packagecounts", "packages_app_updatepackage", "package_id", "by_package")
    + f" UNION ALL {_FAILURES} UNION ALL {_ORPHANS} ORDER BY 1, 2"
)


def differences() -> list[Difference]:
    """Recount everything in one statement, that is in one snapshot.

    Reads every task once, the failed ones twice, and looks for lines of history that belong to none.
    """
    found = []
    for kind, owner, *numbers in fetch(Fragment(_DIFFERENCES)):
        stored, counted = numbers[: len(_NAMES)], numbers[len(_NAMES) :]
        for name, left, right in zip(_NAMES, stored, counted, strict=True):
            if left != right:
                column = "count" if kind in ("failures", "history") else name
                found.append(Difference(kind, owner, column, int(left), int(right)))
    return found


def request_missed_matches(source: Fragment, where: Fragment, module_id: int, now: datetime) -> int:
    """Queue the devices (`d`) of a dynamic batch's scope that match and were never asked about."""
    return execute(
        statement(
            "INSERT INTO batches_app_matchrequest (device_id, module_id, is_new_version, requested_at) "
            "SELECT d.id, {module}, false, {now} FROM {source} WHERE {where} ORDER BY d.id "
            "ON CONFLICT (device_id, module_id) DO NOTHING",
            module=Fragment("%s::bigint" if is_postgresql() else "%s", (module_id,)),
            now=Fragment("%s::timestamptz" if is_postgresql() else "%s", (time_text(now),)),
            source=source,
            where=where,
        )
    )
