"""What is installed on devices."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PackagesConfig(AppConfig):
    name = "packages_app"
    label = "packages_app"
    verbose_name = _("Update packages")
