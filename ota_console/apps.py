"""The whole, as a Django app: it owns the management commands, and no model."""

from django.apps import AppConfig


class OtaConsoleConfig(AppConfig):
    name = "ota_console"
    label = "ota_console"
    verbose_name = "OTA Console"
