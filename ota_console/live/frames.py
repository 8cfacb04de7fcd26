"""Facts into frames: the JSON that a live page draws. The contract stands in docs/reference/live.md.

A frame is built from what the database says at the moment of sending, so it is always true; all counts of a frame carry
its revision. Runs no query: the reader does.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from batches_app.domain.states import BatchStatus
from batches_app.selectors.batches import BatchFacts
from batches_app.selectors.live import LivePackage
from batches_app.selectors.task_rows import TaskRow
from ota_console.web.templatetags.states import BATCH

Frame = dict[str, Any]

TASKS_PER_FRAME: Final = 200
"""A frame's size has a bound; the rest follows in the next frames."""


def batch_frame(facts: BatchFacts, *, at: datetime, tasks: Sequence[Frame] = ()) -> Frame:
    """One batch; `tasks` are the rows of `task_part`."""
    batch = facts.batch
    return {
        "type": "batch",
        "batch": batch.public_id,
        "revision": facts.revision,
        "at": at.isoformat(),
        "status": BatchStatus(batch.status).name,
        "status_label": str(BATCH[facts.state].label),
        "paused": batch.paused_at is not None,
        "reupgradable": facts.is_reupgradable,
        "updated_at": batch.updated_at.isoformat(),
        "rate_now": facts.rate_now,
        "counts": dict(facts.counts),
        "launch": {
            "state": "writing" if facts.is_launching else "done",
            "written": batch.launch_written_count,
            "total": batch.launch_total_count,
        },
        "cancel": {
            "requested": facts.is_canceling,
            "done": batch.cancel_done_count,
            "total": batch.cancel_total_count,
        },
        "tasks": list(tasks),
        "more": False,
    }


def task_part(row: TaskRow) -> Frame:
    """One row of a batch's table."""
    return {
        "id": row.public_id,
        "status": row.status,
        "label": f"{row.label} {row.detail}".strip(),
        "detail": row.note,
        "progress": row.progress,
        "attempt": row.attempt,
        "blocker": row.blocker,
        "at": row.at.isoformat(),
    }


def package_frame(package: LivePackage, *, at: datetime, batches: Iterable[Frame] = ()) -> Frame:
    """One package, with frames of its batches (which carry no tasks here)."""
    return {
        "type": "package",
        "package": package.public_id,
        "state": package.state,
        "revision": package.revision,
        "at": at.isoformat(),
        "counts": dict(package.counts),
        "batches": list(batches),
    }


def in_parts(frame: Frame, tasks: Sequence[Frame]) -> list[Frame]:
    """The same frame as often as its tasks need; at least once."""
    starts = range(0, max(1, len(tasks)), TASKS_PER_FRAME)
    return [{**frame, "tasks": list(tasks[start : start + TASKS_PER_FRAME])} for start in starts]
