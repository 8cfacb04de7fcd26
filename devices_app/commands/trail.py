"""The audit line of a command, in one call; details are plain JSON and hold no secret."""

from datetime import datetime
from typing import Any

from ota_console.audit.actor import Actor
from ota_console.audit.commands import Target, record


def note(actor: Actor, action: str, target: Target, now: datetime, **details: Any) -> None:
    """Write who did what to what, in the transaction of the command that did it."""
    record(actor_id=actor.user_id, actor_name=actor.name, action=action, target=target, now=now, details=details)
