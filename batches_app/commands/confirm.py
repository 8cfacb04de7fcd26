"""Confirm device updates in the app's place, and start ended ones again (vendor reference §3.8.

Rules.md §2, §3, §7).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import transaction

from batches_app.commands.results import (
    TaskResult,
    check_task_ids,
    lock_tasks,
    note_tasks,
    refused,
    result_of,
)
from batches_app.commands.rows import lock_batches, save_batch
from batches_app.domain.states import BatchStatus, Confirmed, Reupgrade, TaskStatus, Verdict, VersionReported
from batches_app.models import Batch, Task
from batches_app.transitions import LockedTask, Transitions
from devices_app.models import Device, ModuleVersion
from ota_console.audit.actor import Actor
from ota_console.core.jobs import enqueue
from ota_console.outbox import commands as outbox
from ota_console.outbox import events
from packages_app.models import UpdatePackage

MAX_TASKS: Final = 200
"""In one command."""


def confirm_tasks(*, tasks: Sequence[str], actor: Actor, now: datetime) -> tuple[TaskResult, ...]:
    """CONFIRM → To Be Pushed, only within [start, finish) of the batch. Public ids, at most 200.

    One result per id, in order. Refused per task with a code: `unknown_task`, `not_waiting_for_confirmation`,
    `before_schedule`, `after_finish`, `being_canceled`. Raises `Invalid` {"tasks"} for none or too many ids.
    """
    wanted = check_task_ids(tasks, MAX_TASKS)
    with transaction.atomic():
        lock_batches(set(Task.objects.filter(public_id__in=wanted).values_list("batch", flat=True)))
        moves = Transitions(now)
        locked = lock_tasks(moves, wanted, None)
        results = tuple(
            result_of(locked[public_id], moves.apply(locked[public_id], Confirmed(actor.name)))
            if public_id in locked
            else refused(public_id, "", "unknown_task")
            for public_id in wanted
        )
        moves.flush()
        note_tasks("task.confirm", results, actor=actor, now=now)
        enqueue("batches_app.dispatch")
    return results


def reupgrade_tasks(
    *, tasks: Sequence[str], actor: Actor, now: datetime, batch: str | None = None
) -> tuple[TaskResult, ...]:
    """Update failed, Canceled → To Be Pushed; reopens a COMPLETED batch. Public ids, at most 200.

    One result per id, in order. With `batch` (public id), tasks of other batches count as unknown. Refused per task
    with a code: `unknown_task`, `not_ended`, `already_updated`, `never_confirmed`, `after_finish`, `batch_canceled`,
    `being_canceled`, `lane_held` (another unfinished update of the device), `device_deleted`. A device that reports the
    target version by now is Updated at once. Raises `Invalid` {"tasks"} for none or too many ids.
    """
    wanted = check_task_ids(tasks, MAX_TASKS)
    with transaction.atomic():
        named = list(Task.objects.filter(public_id__in=wanted).values_list("device", "batch"))
        moves = _Reupgrade(now, actor, {device for device, _ in named}, {batch_id for _, batch_id in named})
        locked = lock_tasks(moves.moves, wanted, batch)
        results = tuple(
            moves.start(locked[public_id]) if public_id in locked else refused(public_id, "", "unknown_task")
            for public_id in wanted
        )
        moves.finish()
        note_tasks("task.reupgrade", results, actor=actor, now=now)
        enqueue("batches_app.dispatch")
    return results


class _Reupgrade:
    """One command: devices, then batches are locked, in this order (architecture), before any task is."""

    def __init__(self, now: datetime, actor: Actor, devices: set[int | None], batches: set[int]) -> None:
        self.now = now
        self.actor = actor
        found = Device.objects.select_for_update(no_key=True).filter(pk__in=[d for d in devices if d is not None])
        self.is_online = dict(found.order_by("pk").values_list("pk", "is_online"))
        self.batches = lock_batches(batches)
        self.reopened: set[int] = set()
        holders = Task.objects.filter(device__in=self.is_online, status__lt=TaskStatus.SUCCEEDED)
        self.holders = set(holders.values_list("device", "module", "is_multi_module"))
        versions = ModuleVersion.objects.filter(device__in=self.is_online)
        self.versions = set(versions.values_list("device", "module", "version"))
        self.moves = Transitions(now)

    def start(self, task: LockedTask) -> TaskResult:
        """Decide one task and remember the batch that it reopens."""
        if task.device_id is None:
            return refused(task.public_id, task.device_name, "device_deleted")
        batch = self.batches[task.batch.id]
        if task.facts.status in (TaskStatus.FAILED, TaskStatus.CANCELED):
            if batch.status == BatchStatus.CANCELED:
                return refused(task.public_id, task.device_name, "batch_canceled")
            if batch.cancel_mask >> TaskStatus.QUEUED & 1:
                return refused(task.public_id, task.device_name, "being_canceled")
            if self._is_lane_held(task, batch):
                return refused(task.public_id, task.device_name, "lane_held")
            task.facts = task.facts._replace(
                is_offline=not self.is_online[task.device_id]
            )  # ended tasks are not kept told
        decision = self.moves.apply(task, Reupgrade(self.actor.name))
        if decision.verdict is Verdict.APPLIED:
            self.holders.add((task.device_id, task.module_id, batch.is_multi_module))
            self.reopened.add(batch.pk)
            self._settle(task)
        return result_of(task, decision)

    def _is_lane_held(self, task: LockedTask, batch: Batch) -> bool:
        """rules.md §7: any open task, or with multi-module mode one of the same module or without that mode."""
        return any(
            device == task.device_id and (not batch.is_multi_module or not is_multi_module or module == task.module_id)
            for device, module, is_multi_module in self.holders
        )

    def _settle(self, task: LockedTask) -> None:
        """Success is proven by a version report, and there may be one already (rules.md §7, before a push)."""
        target = task.batch.policy.target_version
        if (task.device_id, task.module_id, target) in self.versions:
            self.moves.apply(task, VersionReported(target, is_change=False))

    def finish(self) -> None:
        """Write tasks and the batches that go on.

        The package of a verify batch is being verified again (rules.md §3).
        """
        self.moves.flush()
        for pk in sorted(self.reopened):
            batch = self.batches[pk]
            if batch.status == BatchStatus.COMPLETED:
                batch.status = BatchStatus.IN_PROGRESS
                batch.ended_at = None
                batch.end_reason = ""
            batch.is_open = True
            save_batch(batch, "status", "ended_at", "end_reason", "is_open", now=self.now)
            if batch.kind == Batch.Kind.VERIFY:
                mark_verifying(batch, self.now)


def mark_verifying(batch: Batch, now: datetime) -> None:
    """A failed verification runs again; a package that is verified by now stays so."""
    failed = UpdatePackage.objects.filter(pk=batch.package_id, status=UpdatePackage.Status.VERIFICATION_FAILED)
    if failed.update(status=UpdatePackage.Status.VERIFYING, updated_at=now):
        outbox.append(events=[events.package_changed(package=batch.package.public_id)], now=now)
