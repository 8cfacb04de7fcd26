"""Events that leave the database after their transaction."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OutboxConfig(AppConfig):
    name = "ota_console.outbox"
    label = "outbox"
    verbose_name = _("Outbox")
