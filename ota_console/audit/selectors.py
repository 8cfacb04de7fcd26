"""What the audit says, for those who show it. Reads only."""

from collections.abc import Collection
from datetime import datetime

from ota_console.audit.commands import Target
from ota_console.audit.models import AuditEntry


def last_actor(target: Target, actions: Collection[str], *, until: datetime) -> str | None:
    """The name of who did one of these things to the target last, up to that moment; None: nobody. One index scan."""
    entries = AuditEntry.objects.filter(target_type=target.type, target_id=target.id, action__in=actions, at__lte=until)
    return entries.order_by("-pk").values_list("actor_name", flat=True).first()
