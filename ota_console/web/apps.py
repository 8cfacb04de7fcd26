"""What all pages and API answers share."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WebConfig(AppConfig):
    name = "ota_console.web"
    label = "web"
    verbose_name = _("Web")
