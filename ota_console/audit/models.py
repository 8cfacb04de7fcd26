"""Who did what, to what, when: append-only. Rows are written by `ota_console.audit.commands.record` alone."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class AuditEntry(models.Model):
    at = models.DateTimeField(_("time"), db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    actor_name = models.CharField(_("actor"), max_length=150)
    """Kept beside the key, since history outlives the account."""
    action = models.CharField(_("action"), max_length=60)
    """A stable word such as `batch.cancel`."""
    target_type = models.CharField(max_length=30)
    target_id = models.CharField(max_length=64)
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = _("audit entries")
        indexes = (models.Index(fields=("target_type", "target_id", "-id"), name="audit_by_target"),)

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.target_type} {self.target_id}"
