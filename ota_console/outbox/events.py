"""The vocabulary of the outbox, in one place: what a transaction may tell the world, as small JSON objects.

Every event is a dict with the key `kind`. Batches, packages, tasks and devices are named by their public ids (a task's
`device` is its name, which outlives the device), modules by their keys; statuses are the integers of
`batches_app.domain.states`. Builders only; nothing here reads or writes.

tasks.changed: batch, rows: [[task, device, status, previous, progress], …]
    Facts of these tasks changed; `previous` is the status before, equal to `status` for mere progress.
tasks.range: batch, status, count
    A set-based statement moved many tasks at once.
batch.changed: batch, package
    A batch was made, or its own facts changed: status, pause, rate, progress of launch or cancel.
package.changed: package
    A package was made, edited, verified or deleted.
versions.changed: rows: [[device, module, version, previous], …]
    Devices reported other versions than before.
presence.changed: device, online
    A device came online or went offline.
"""

from collections.abc import Sequence
from typing import Any, Final

Event = dict[str, Any]

TASKS_CHANGED: Final = "tasks.changed"
TASKS_RANGE: Final = "tasks.range"
BATCH_CHANGED: Final = "batch.changed"
PACKAGE_CHANGED: Final = "package.changed"
VERSIONS_CHANGED: Final = "versions.changed"
PRESENCE_CHANGED: Final = "presence.changed"

TaskRow = tuple[str, str, int, int, int | None]
"""Task, device, status, previous status, progress."""
VersionRow = tuple[str, int, str, str]
"""Device, module, version, previous version."""


def tasks_changed(*, batch: str, rows: Sequence[TaskRow]) -> Event:
    """Tasks of one batch moved or made progress."""
    return {"kind": TASKS_CHANGED, "batch": batch, "rows": rows}


def tasks_range(*, batch: str, status: int, count: int) -> Event:
    """A set-based statement (launch slice, record of pushes, cancel slice) brought `count` tasks into `status`."""
    return {"kind": TASKS_RANGE, "batch": batch, "status": int(status), "count": count}


def batch_changed(*, batch: str, package: str) -> Event:
    """A batch was made, or its own facts changed."""
    return {"kind": BATCH_CHANGED, "batch": batch, "package": package}


def package_changed(*, package: str) -> Event:
    """An update package was made, edited or deleted, or its verification moved."""
    return {"kind": PACKAGE_CHANGED, "package": package}


def versions_changed(rows: Sequence[VersionRow]) -> Event:
    """Devices reported versions of modules that differ from their last ones, in this order."""
    return {"kind": VERSIONS_CHANGED, "rows": rows}


def presence_changed(*, device: str, is_online: bool) -> Event:
    """A device came online or went offline."""
    return {"kind": PRESENCE_CHANGED, "device": device, "online": is_online}
