"""What every command about batches needs: find and lock the row, and leave a trace of the change in one transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext

from batches_app.models import Batch, BatchTag
from batches_app.sql import tasks as task_sql
from ota_console.audit import commands as audit
from ota_console.audit.actor import Actor
from ota_console.core.errors import Invalid, NotFound
from ota_console.outbox import commands as outbox
from ota_console.outbox import events


def lock_batch(public_id: str) -> Batch:
    """The batch with its package, its row locked until the end of the transaction. Raises `NotFound`."""
    found = Batch.objects.select_related("package").select_for_update(no_key=True, of=("self",))
    batch = found.filter(public_id=public_id).first()
    if batch is None:
        raise NotFound("batch_unknown", gettext("This batch does not exist."))
    return batch


def lock_batches(ids: Collection[int]) -> dict[int, Batch]:
    """Several batches with their packages, locked in id order (architecture), by id."""
    found = Batch.objects.select_related("package").select_for_update(no_key=True, of=("self",))
    return {batch.pk: batch for batch in found.filter(pk__in=ids).order_by("pk")}


def save_batch(batch: Batch, *fields: str, now: datetime) -> None:
    """Write changed columns of a locked batch, give its counters a new revision, and tell the outbox."""
    batch.updated_at = now
    batch.save(update_fields=[*fields, "updated_at"])
    task_sql.move_batch_counts({batch.pk: {}})
    outbox.append(events=[events.batch_changed(batch=batch.public_id, package=batch.package.public_id)], now=now)


def note(batch: Batch, action: str, *, actor: Actor, now: datetime, detail: Mapping[str, Any] | None = None) -> None:
    """Who did what, for the audit."""
    audit.record(
        actor_id=actor.user_id,
        actor_name=actor.name,
        action=action,
        target=audit.Target("batch", batch.public_id),
        now=now,
        details=detail,
    )


def replace_tags(batch: Batch, tags: Sequence[tuple[str, str]]) -> None:
    """The batch's tags are these, in this order."""
    BatchTag.objects.filter(batch=batch).delete()
    rows = [BatchTag(batch=batch, position=n, key=key, value=value) for n, (key, value) in enumerate(tags, 1)]
    BatchTag.objects.bulk_create(rows)


def invalid(code: str, errors: Mapping[str, Sequence[str]]) -> Invalid:
    """The messages of a form, translated; the first one stands for all where only one can be shown."""
    translated = {field: [gettext(message) for message in messages] for field, messages in errors.items() if messages}
    field, messages = next(iter(translated.items()))
    return Invalid(code, messages[0], field or None, errors=translated)
