"""The vocabulary of the outbox, in one place: what a transaction may tell the world, as small JSON objects.

Every event is a dict with the key `kind`. Batches, packages, tasks and devices are named by their public ids (a task's
`device` is its name, which outlives the device), modules by their keys; statuses are the integers of
`batches_app.domain.states`. Builders only; nothing here reads or writes.

task.changed: task, batch, device, status, previous, progress
    One task's facts changed.
tasks.changed: batch, rows: [[task, device, status, previous, progress], …]
    What `pack` makes of neighbouring task.changed.
tasks.range: batch, status, count
    A set-based statement moved many tasks at once.
batch.changed: batch, package
    A batch was made, or its own facts changed: status, pause, rate, progress of launch or cancel.
package.changed: package
    A package was made, edited, verified or deleted.
version.changed: device, module, version, previous
    A device reported another version.
presence.changed: device, online
    A device came online or went offline.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

Event = dict[str, Any]

TASK_CHANGED: Final = "task.changed"
TASKS_CHANGED: Final = "tasks.changed"
TASKS_RANGE: Final = "tasks.range"
BATCH_CHANGED: Final = "batch.changed"
PACKAGE_CHANGED: Final = "package.changed"
VERSION_CHANGED: Final = "version.changed"
PRESENCE_CHANGED: Final = "presence.changed"

_ROW: Final = ("task", "device", "status", "previous", "progress")


def task_changed(*, task: str, batch: str, device: str, status: int, previous: int, progress: int | None) -> Event:
    """One task moved or made progress. `previous` is the status before; equal to `status` for mere progress."""
    return {
        "kind": TASK_CHANGED,
        "task": task,
        "batch": batch,
        "device": device,
        "status": int(status),
        "previous": int(previous),
        "progress": progress,
    }


def tasks_range(*, batch: str, status: int, count: int) -> Event:
    """A set-based statement (launch slice, record of pushes, cancel slice) brought `count` tasks into `status`."""
    return {"kind": TASKS_RANGE, "batch": batch, "status": int(status), "count": count}


def batch_changed(*, batch: str, package: str) -> Event:
    """A batch was made, or its own facts changed."""
    return {"kind": BATCH_CHANGED, "batch": batch, "package": package}


def package_changed(*, package: str) -> Event:
    """An update package was made, edited or deleted, or its verification moved."""
    return {"kind": PACKAGE_CHANGED, "package": package}


def version_changed(*, device: str, module: int, version: str, previous: str) -> Event:
    """A device reported a version of a module that differs from its last one."""
    return {"kind": VERSION_CHANGED, "device": device, "module": module, "version": version, "previous": previous}


def presence_changed(*, device: str, is_online: bool) -> Event:
    """A device came online or went offline."""
    return {"kind": PRESENCE_CHANGED, "device": device, "online": is_online}


def pack(events: Sequence[Event]) -> list[Event]:
    """Join neighbouring `task.changed` of a batch into `tasks.changed`: half the bytes, the same order."""
    packed: list[Event] = []
    for event in events:
        if event["kind"] != TASK_CHANGED:
            packed.append(event)
            continue
        if not packed or packed[-1]["kind"] != TASKS_CHANGED or packed[-1]["batch"] != event["batch"]:
            packed.append({"kind": TASKS_CHANGED, "batch": event["batch"], "rows": []})
        packed[-1]["rows"].append([event[name] for name in _ROW])
    return packed


def unpack(events: Sequence[Event]) -> Iterator[Event]:
    """The inverse of `pack`, for sinks that look at single tasks."""
    for event in events:
        if event["kind"] != TASKS_CHANGED:
            yield event
            continue
        for row in event["rows"]:
            yield {"kind": TASK_CHANGED, "batch": event["batch"], **dict(zip(_ROW, row, strict=True))}
