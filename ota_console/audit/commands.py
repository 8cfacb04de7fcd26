"""Appends to the audit trail, in the transaction of the command that it tells about. It changes and deletes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ota_console.audit.models import AuditEntry


@dataclass(frozen=True, slots=True)
class AuditRecorded:
    entry_id: int


@dataclass(frozen=True, slots=True)
class Target:
    """What was acted on: a kind such as `batch` and its public id."""

    type: str
    id: str


def record(
    *,
    actor_id: int | None,
    actor_name: str,
    action: str,
    target: Target,
    now: datetime,
    details: Mapping[str, Any] | None = None,
) -> AuditRecorded:
    """Write one entry; `details` must be plain JSON and must hold no secret."""
    entry = AuditEntry.objects.create(
        at=now,
        actor_id=actor_id,
        actor_name=actor_name,
        action=action,
        target_type=target.type,
        target_id=target.id,
        details=dict(details or {}),
    )
    return AuditRecorded(entry_id=entry.pk)
