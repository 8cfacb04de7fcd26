"""What the gateway keeps beside the facts: which messages its last transactions applied."""

from django.db import models


class AppliedEntry(models.Model):
    """One committed micro-batch. Its messages may be delivered again; they are acknowledged and not applied twice."""

    token = models.CharField(max_length=32)
    """Names the attempt: tells after a lost connection whether its commit arrived."""
    worker = models.SmallIntegerField(default=0, db_default=0)
    """Which of the gateway's workers wrote it, and may forget it."""
    fingerprints = models.BinaryField()
    """Joined `session.fingerprint`s of what is in it, requests left out."""

    class Meta:
        verbose_name_plural = "applied entries"

    def __str__(self) -> str:
        return self.token
