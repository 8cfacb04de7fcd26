"""Who the devices are and how they talk."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DevicesConfig(AppConfig):
    name = "devices_app"
    label = "devices_app"
    verbose_name = _("Devices")
