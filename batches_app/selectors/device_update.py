"""One device's update in a batch, in full: why it is not updated, its facts and its history. Reads only."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from batches_app.domain.reasons import Situation, Text, why_not_updated
from batches_app.domain.states import FAILED, Reason, TaskFacts
from batches_app.models import FailureCount, Task
from batches_app.selectors.history_words import HistoryLine, history_of
from batches_app.selectors.task_facts import facts_of
from batches_app.selectors.task_rows import TaskRow, single_rows
from devices_app.models import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUpdate:
    """Everything that the drawer shows of one device update."""

    row: TaskRow
    why: str
    module: str
    match_no: int
    push_no: int
    device_words: str
    progress_words: str
    progress_at: datetime | None
    deadline_at: datetime | None
    is_known: bool
    """The device still exists; else the connection is not known."""
    is_online: bool
    presence_at: datetime | None
    last_seen_at: datetime | None
    reason: str
    """The name of the failure, for the address of those that failed the same way; empty: it has not failed."""
    same_reason_count: int
    """Devices of the batch that failed with this reason, this one included."""
    history: tuple[HistoryLine, ...]


def device_update(*, batch_id: int, product_id: int, device_name: str, now: datetime) -> DeviceUpdate | None:
    """The newest update of exactly this device in a batch; None: it has none. Seven queries."""
    task = _newest(batch_id, product_id, device_name)
    if task is None:
        return None
    [row] = single_rows(public_ids=[task.public_id], batch_id=batch_id, now=now)
    device, is_failed = task.device, task.status == FAILED
    return DeviceUpdate(
        row=row,
        why=_why(task, row, now),
        module=task.module.name,
        match_no=task.match_no,
        push_no=task.push_no,
        device_words=task.reason_text,
        progress_words=task.progress_text,
        progress_at=task.progress_at,
        deadline_at=task.deadline_at,
        is_known=device is not None,
        is_online=device is not None and device.is_online,
        presence_at=device.presence_at if device else None,
        last_seen_at=device.last_seen_at if device else None,
        reason=Reason(task.reason).name if is_failed else "",
        same_reason_count=_failed_alike(batch_id, task.reason) if is_failed else 0,
        history=history_of(task),
    )


def _newest(batch_id: int, product_id: int, device_name: str) -> Task | None:
    """By the index (device, batch, match). A deleted device has left its name only: its batch is searched."""
    related = ("batch__package", "batch__canceled_by", "device", "module", "blocker__batch")
    of_batch = Task.objects.filter(batch_id=batch_id).select_related(*related).order_by("-match_no")
    device = Device.objects.filter(product_id=product_id, name=device_name).values_list("pk", flat=True).first()
    found = of_batch.filter(device_id=device).first() if device else None
    return found or of_batch.filter(device=None, device_name=device_name).first()


def _why(task: Task, row: TaskRow, now: datetime) -> str:
    """The sentence that the domain finds for the facts that the engine uses, in the reader's words and time zone."""
    blocker = task.blocker.batch if task.blocker else None
    around = Situation(
        is_enabled=task.device is None or task.device.is_enabled,
        current_version=row.current_version,
        blocker=str(blocker or ""),
    )
    return _translated(why_not_updated(_in_local_time(facts_of(task)), around, now))


def _in_local_time(facts: TaskFacts) -> TaskFacts:
    start, again = facts.policy.schedule_at, facts.not_before
    policy = facts.policy._replace(schedule_at=start and timezone.localtime(start))
    return facts._replace(policy=policy, not_before=again and timezone.localtime(again))


def _translated(text: Text) -> str:
    values = {name: _(value) if isinstance(value, str) and value else value for name, value in text.values.items()}
    return _(text.message) % values if values else _(text.message)


def _failed_alike(batch_id: int, reason: int) -> int:
    found = FailureCount.objects.filter(batch_id=batch_id, reason=reason).aggregate(total=Sum("count"))
    return int(found["total"] or 0)
