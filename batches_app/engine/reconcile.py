"""Every wait has a sweeper.

What an event should have moved is found by an indexed scan, moved, and counted (architecture). Finds open tasks that
missed a connect, a disconnect or a version report, and devices that no dynamic batch was asked about; recounts all
counters. Decides nothing itself: tasks move through `transitions`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog
from django.db import connection, transaction

from batches_app import scope as scopes
from batches_app.domain.states import BatchStatus, Connected, Disconnected, VersionReported
from batches_app.engine import eligibility
from batches_app.models import Batch, Task
from batches_app.scope import LAST_ID, Window
from batches_app.sql import reconcile as sql
from batches_app.transitions import LockedTask, Transitions
from devices_app.models import Device, ModuleVersion
from ota_console.core.db import is_postgresql

SLICE: Final = 5_000
"""Open tasks, or devices, that one statement looks at."""
REPAIR_AT_ONCE: Final = 500
"""Tasks in one transaction."""

log = structlog.get_logger(__name__)


def repair_slice(batch_id: int, window: Window, *, since: datetime, now: datetime) -> int:
    """After a launch slice's commit, in a new snapshot.

    Devices that connected, went or reported meanwhile (architecture).
    """
    devices = sql.moved_devices(window.after, window.through, since)
    return _repair_all(sql.missed_of_devices(batch_id, devices), now) if devices else 0


def reconcile_batch(*, batch_id: int, after: int, now: datetime) -> int | None:
    """Look at the next slice of a batch's open tasks; where it ended, or None after the last."""
    through = sql.open_slice_end(batch_id, after=after, size=SLICE)
    if through is None:
        return None
    _repair_all(sql.missed_open(batch_id, after, through), now)
    return through


def _repair_all(missed: Sequence[sql.Missed], now: datetime) -> int:
    parts = range(0, len(missed), REPAIR_AT_ONCE)
    return sum(repair(missed[start : start + REPAIR_AT_ONCE], now) for start in parts)


def repair(missed: Sequence[sql.Missed], now: datetime) -> int:
    """Give tasks the event that they missed, under the locks of their devices; how many moved."""
    with transaction.atomic():
        devices = Device.objects.select_for_update(no_key=True).filter(pk__in={m.device_id for m in missed})
        online = dict(devices.order_by("pk").values_list("pk", "is_online"))
        versions = {
            (device, module): version
            for device, module, version in ModuleVersion.objects.filter(device__in=online).values_list(
                "device", "module", "version"
            )
        }
        moves = Transitions(now)
        for task in moves.lock(Task.objects.filter(pk__in={m.task_id for m in missed})):
            if task.device_id in online:
                _repair_task(moves, task, online[task.device_id], versions.get((task.device_id, task.module_id), ""))
        moved = len(moves.flush())
    if moved:
        log.warning("tasks.repaired", count=moved)
    return moved


def _repair_task(moves: Transitions, task: LockedTask, is_online: bool, version: str) -> None:  # noqa: FBT001 - facts
    if version == task.facts.policy.target_version:
        moves.apply(task, VersionReported(version, is_change=False))
    elif not is_online:
        moves.apply(task, Disconnected())
    elif task.facts.is_offline or task.facts.due_at is None:
        moves.apply(task, Connected())


def look_for_matches(*, batch_id: int, after: int, now: datetime) -> int | None:
    """Queue the devices of the next slice that a dynamic batch should have been asked about.

    Where it ended, None at the end.
    """
    batch = Batch.objects.select_related("package", "group").filter(pk=batch_id, status=BatchStatus.IN_PROGRESS).first()
    if batch is None or batch.selection != Batch.Selection.DYNAMIC or batch.launch_state != Batch.LaunchState.DONE:
        return None
    scope = eligibility.scope_for_match(batch)
    through = scopes.slice_end(scope, after=after, through=LAST_ID, size=SLICE)
    found = scopes.members(
        scope, Window(after, through), *eligibility.conditions(batch), eligibility.lane_is_free(scope)
    )
    sql.request_missed_matches(found.source, found.where, batch.module_id, now)
    return None if through == LAST_ID else through


def open_batches() -> list[int]:
    """Batches whose tasks may still move by themselves; few rows, by a partial index."""
    return list(Batch.objects.filter(is_open=True).order_by("pk").values_list("pk", flat=True))


def check_consistency() -> list[sql.Difference]:
    """Recount all counters in one snapshot (rules.md §6); what differs."""
    if is_postgresql() and not connection.in_atomic_block:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return sql.differences()
    return sql.differences()
