"""What `domain.states` and `domain.reasons` look at, from a task's and a batch's row: engine and pages see the same."""

from batches_app.domain.states import Policy, Reason, TaskFacts, TaskStatus
from batches_app.models import Batch, Task


def policy_of(batch: Batch) -> Policy:
    """The rules that a batch gives to its tasks. Expects `package` to be loaded."""
    allowed = frozenset(batch.source_versions) or None
    is_delta = batch.package.kind == batch.package.Kind.DELTA
    if is_delta and batch.package.source_version:
        allowed = frozenset({batch.package.source_version})
    return Policy(
        target_version=batch.target_version,
        allowed_sources=allowed,
        is_delta=is_delta,
        retry_limit=batch.retry_count or 0,
        retry_interval_minutes=batch.retry_interval_minutes or 0,
        notify_timeout_minutes=batch.notify_timeout_minutes,
        needs_push=batch.needs_push,
        needs_confirm=batch.needs_confirm,
        is_paused=batch.paused_at is not None,
        cancel_mask=batch.cancel_mask,
        schedule_at=batch.schedule_at,
        finish_at=batch.finish_at,
    )


def facts_of(task: Task) -> TaskFacts:
    """A task's facts. Expects `batch__package` to be loaded. Nothing is locked: for pages, not for decisions."""
    values = {name: getattr(task, name) for name in TaskFacts._fields if name != "policy"}
    values |= {"status": TaskStatus(task.status), "reason": Reason(task.reason)}
    return TaskFacts(policy=policy_of(task.batch), **values)
