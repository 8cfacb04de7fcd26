"""Commands about several tasks: one result each, in the order asked, and nothing half done silently (rules.md §7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext

from batches_app.domain.reasons import REFUSALS
from batches_app.domain.states import Decision, Event, Verdict
from batches_app.models import Task
from batches_app.transitions import LockedTask, Transitions
from ota_console.audit import commands as audit
from ota_console.audit.actor import Actor
from ota_console.core.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """What became of one task in a command about several."""

    task: str
    """Public id of the task; "" where there is none."""
    device_name: str
    is_done: bool
    code: str = ""
    """Why not, stable: `domain.reasons.REFUSALS` has a sentence for each."""
    message: str = ""
    """The same as a complete sentence."""


def done(task: str, device_name: str) -> TaskResult:
    """It was carried out."""
    return TaskResult(task=task, device_name=device_name, is_done=True)


def refused(task: str, device_name: str, code: str) -> TaskResult:
    """It was not, and why."""
    return TaskResult(
        task=task, device_name=device_name, is_done=False, code=code, message=gettext(REFUSALS[code]) if code else ""
    )


def check_task_ids(tasks: Sequence[str], limit: int) -> list[str]:
    """Each id once, in order. Raises `Invalid` {"tasks"} for none or too many."""
    wanted = list(dict.fromkeys(tasks))
    if not 1 <= len(wanted) <= limit:
        message = gettext("Name 1 to %(limit)d device updates.") % {"limit": limit}
        raise Invalid("tasks_invalid", message, "tasks")
    return wanted


def lock_tasks(moves: Transitions, wanted: Sequence[str], batch: str | None) -> dict[str, LockedTask]:
    """The tasks that exist, locked in id order, by public id."""
    found = Task.objects.filter(public_id__in=wanted)
    if batch is not None:
        found = found.filter(batch__public_id=batch)
    return {task.public_id: task for task in moves.lock(found)}


def act_on_tasks(
    tasks: Sequence[str], event: Event, *, batch: str | None, limit: int, now: datetime
) -> tuple[TaskResult, ...]:
    """Apply one event to each task, in the caller's transaction."""
    wanted = check_task_ids(tasks, limit)
    moves = Transitions(now)
    locked = lock_tasks(moves, wanted, batch)
    results = tuple(_act(moves, locked.get(public_id), public_id, event) for public_id in wanted)
    moves.flush()
    return results


def _act(moves: Transitions, task: LockedTask | None, public_id: str, event: Event) -> TaskResult:
    if task is None:
        return refused(public_id, "", "unknown_task")
    return result_of(task, moves.apply(task, event))


def result_of(task: LockedTask, decision: Decision) -> TaskResult:
    """What `decide` answered, told to who asked."""
    if decision.verdict is Verdict.APPLIED:
        return done(task.public_id, task.device_name)
    return refused(task.public_id, task.device_name, decision.refusal or "not_yet")


def note_tasks(action: str, results: Sequence[TaskResult], *, actor: Actor, now: datetime) -> None:
    """Who did what, for the audit; nothing where nothing was done."""
    carried_out = [result for result in results if result.is_done]
    if not carried_out:
        return
    audit.record(
        actor_id=actor.user_id,
        actor_name=actor.name,
        action=action,
        target=audit.Target("task", carried_out[0].task),
        now=now,
        details={"tasks": [result.task for result in carried_out], "devices": [r.device_name for r in carried_out]},
    )
