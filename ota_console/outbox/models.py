"""Events on their way out: written in the transaction that made them, read by the relay."""

from django.db import models


class OutboxMessage(models.Model):
    """What one transaction has to tell, for one partition of devices: a list of events in the order they happened."""

    partition = models.SmallIntegerField(default=0, db_default=0)
    """A hash of the device modulo `PARTITIONS`: one leased relay reads a partition, so order per device holds."""
    events = models.JSONField()
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("id",)
        indexes = (
            models.Index(fields=("partition", "id"), name="outbox_unsent", condition=models.Q(sent_at__isnull=True)),
        )

    def __str__(self) -> str:
        return f"{self.id}"
