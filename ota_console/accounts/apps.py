"""Who uses the console."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "ota_console.accounts"
    label = "accounts"
    verbose_name = _("Accounts")
