"""Updates of many devices at once."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BatchesConfig(AppConfig):
    name = "batches_app"
    label = "batches_app"
    verbose_name = _("Batches")
