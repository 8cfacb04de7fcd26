"""What the gateway keeps in the database."""

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    """The gateway's own table: what it applied last."""

    name = "ota_console.gateway"
    label = "gateway"
    default_auto_field = "django.db.models.BigAutoField"
