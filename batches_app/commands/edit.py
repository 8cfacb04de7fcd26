"""Edit a running batch: rate values and tags; for dynamic batches source versions and time-out too (seed.

Vendor reference §2.4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext

from batches_app.commands.rows import invalid, lock_batch, note, replace_tags, save_batch
from batches_app.domain import policy
from batches_app.domain.pacing import Rate, step_seconds
from batches_app.domain.states import BatchStatus
from batches_app.models import Batch, BatchTag
from ota_console.audit.actor import Actor
from ota_console.core.errors import Conflict
from packages_app.models import UpdatePackage


class Keep(Enum):
    """The type of `KEEP`: this part of the batch is not edited."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEdit:
    """What to change; `KEEP` leaves a part as it is. Tags and source versions are replaced as a whole."""

    rate: Rate | Keep = KEEP
    """Values only: the type, constant or variable, cannot change (seed)."""
    tags: Sequence[tuple[str, str]] | Keep = KEEP
    source_versions: Sequence[str] | Keep = KEEP
    """Version-based dynamic batches only; holds for later matches (rules.md §7)."""
    timeout_minutes: int | Keep | None = KEEP
    """Dynamic batches only; holds for tasks made afterwards (rules.md §7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """The batch after the edit; `updated_at` is what the next edit may pass as `expected_updated_at`."""

    updated_at: datetime
    changed: tuple[str, ...]
    """Names of the fields whose value differs now; empty: nothing was changed."""


def edit_batch(
    *, batch: str, edit: BatchEdit, actor: Actor, now: datetime, expected_updated_at: datetime | None = None
) -> Edited:
    """Change a batch that is Upgrading (a paused one too). `batch` is its public id.

    Takes effect within 5 s (rules.md §4). Raises `NotFound`; `Conflict` code `batch_not_upgrading`, or
    `edited_meanwhile` where `expected_updated_at` is given and somebody changed the batch since; `Invalid` with errors
    by field: `rate_kind`, `rate_per_minute`, `rate_base_per_minute`, `rate_factor`, `rate_notified_step`,
    `rate_succeeded_step`, `tags`, `source_versions`, `timeout_minutes`.
    """
    with transaction.atomic():
        row = lock_batch(batch)
        _check_state(row, expected_updated_at)
        _check_values(row, edit)
        before = {name: getattr(row, name) for name in _COLUMNS}
        _set_values(row, edit, now)
        changed = [name for name in _COLUMNS if name != "next_slot_at" and getattr(row, name) != before[name]]
        if edit.tags is not KEEP and _replace_tags(row, edit.tags):
            changed.append("tags")
        if not changed:
            return Edited(updated_at=row.updated_at, changed=())
        save_batch(row, *_COLUMNS, now=now)
        note(row, "batch.edit", actor=actor, now=now, detail={"changed": changed, "before": _plain(before, changed)})
    return Edited(updated_at=now, changed=tuple(changed))


_COLUMNS: Final = (
    "rate_per_minute",
    "rate_base_per_minute",
    "rate_factor",
    "rate_notified_step",
    "rate_succeeded_step",
    "next_slot_at",
    "source_versions",
    "timeout_minutes",
)


def _check_state(row: Batch, expected_updated_at: datetime | None) -> None:
    if row.status != BatchStatus.IN_PROGRESS:
        raise Conflict(
            "batch_not_upgrading", gettext("Only a batch that is Upgrading can be edited. Nothing was changed.")
        )
    if expected_updated_at is not None and row.updated_at != expected_updated_at:
        message = gettext("Not saved. Somebody changed this batch meanwhile. Reload the values and try again.")
        raise Conflict("edited_meanwhile", message)


def _check_values(row: Batch, edit: BatchEdit) -> None:
    errors = policy.new_errors()
    if edit.rate is not KEEP:
        _check_rate(errors, row, edit.rate)
    if edit.tags is not KEEP:
        policy.check_tags(errors, edit.tags)
    if edit.source_versions is not KEEP:
        _check_source_versions(errors, row, edit.source_versions)
    if edit.timeout_minutes is not KEEP:
        _check_timeout(errors, row, edit.timeout_minutes)
    if errors:
        raise invalid("edit_invalid", errors)


def _check_rate(errors: policy.Errors, row: Batch, rate: Rate) -> None:
    is_variable = row.rate_kind == Batch.RateKind.VARIABLE
    has_curve = any(value is not None for value in rate[1:])
    if is_variable != has_curve:
        errors["rate_kind"].append(
            gettext("The type of the push rate, constant or variable, cannot be changed. Change its values.")
        )
        return
    policy.check_rate(errors, rate, is_variable=is_variable)


def _check_source_versions(errors: policy.Errors, row: Batch, versions: Sequence[str]) -> None:
    if row.selection == Batch.Selection.STATIC or row.group_id is not None:
        errors["source_versions"].append(
            gettext("Only a dynamic batch that selects devices by version has source versions to edit.")
        )
        return
    if row.package.kind == UpdatePackage.Kind.DELTA and tuple(versions) != (row.package.source_version,):
        errors["source_versions"].append(gettext("A delta package can only be installed on its own source version."))
        return
    if not versions:
        errors["source_versions"].append(gettext("Choose at least one source version."))
    policy.check_source_versions(
        errors, versions, target_version=row.target_version, limit=policy.MAX_SOURCE_VERSIONS_IN_EDIT
    )


def _check_timeout(errors: policy.Errors, row: Batch, timeout_minutes: int | None) -> None:
    if row.selection == Batch.Selection.STATIC:
        errors["timeout_minutes"].append(gettext("Only the time-out of a dynamic batch can be edited."))
        return
    policy.check_timeouts(errors, timeout_minutes=timeout_minutes, notify_timeout_minutes=None)
    interval = row.retry_interval_minutes
    if interval is not None and timeout_minutes is not None and interval >= timeout_minutes:
        errors["timeout_minutes"].append(gettext("The time-out must be longer than the retry interval."))


def _set_values(row: Batch, edit: BatchEdit, now: datetime) -> None:
    if edit.rate is not KEEP:
        factor = edit.rate.factor
        row.rate_per_minute = edit.rate.per_minute
        row.rate_base_per_minute = edit.rate.base_per_minute
        row.rate_factor = None if factor is None else Decimal(str(factor)).quantize(Decimal("0.01"))
        row.rate_notified_step = edit.rate.notified_step
        row.rate_succeeded_step = edit.rate.succeeded_step
        row.next_slot_at = _next_slot(row, now)
    if edit.source_versions is not KEEP:
        row.source_versions = sorted(edit.source_versions)
    if edit.timeout_minutes is not KEEP:
        row.timeout_minutes = edit.timeout_minutes


def _next_slot(row: Batch, now: datetime) -> datetime | None:
    """A faster rate must not wait for the slot of a slow one: the next slot is at most one new step away."""
    slowest = row.rate_base_per_minute or row.rate_per_minute
    if row.next_slot_at is None or slowest is None:
        return row.next_slot_at
    return min(row.next_slot_at, now + timedelta(seconds=step_seconds(slowest)))


def _replace_tags(row: Batch, tags: Sequence[tuple[str, str]]) -> bool:
    """Full replacement: a tag that is left out is cleared (vendor reference §2.4). Whether anything differs now."""
    if list(BatchTag.objects.filter(batch=row).values_list("key", "value")) == list(tags):
        return False
    replace_tags(row, tags)
    return True


def _plain(before: dict[str, Any], changed: Sequence[str]) -> dict[str, Any]:
    """The old values as plain JSON, for the audit."""
    return {
        name: str(value) if isinstance(value, Decimal) else value for name, value in before.items() if name in changed
    }
