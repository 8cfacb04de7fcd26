"""What every room stands on: clock, errors, ids, jobs, leases."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CoreConfig(AppConfig):
    name = "ota_console.core"
    label = "core"
    verbose_name = _("Core")
