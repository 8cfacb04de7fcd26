"""Leases: who may do something alone until when, and who was alive lately. Written by `core.leases` only."""

from django.db import models


class Lease(models.Model):
    """A named right with an end, held in the database, so that it dies with its holder and not with Redis."""

    name = models.CharField(max_length=100, unique=True)
    holder = models.CharField(max_length=100)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return f"{self.name} by {self.holder}"
