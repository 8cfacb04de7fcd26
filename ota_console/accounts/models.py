"""Who uses the console: Django's user with the three choices that every page needs."""

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    class Theme(models.TextChoices):
        SYSTEM = "system", _("As the system")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    language = models.CharField(_("language"), max_length=10, choices=settings.LANGUAGES, blank=True, default="")
    """Empty: as the browser asks."""
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True, default="")
    """An IANA name; empty: the server's display zone."""
    theme = models.CharField(_("theme"), max_length=6, choices=Theme, default=Theme.SYSTEM)

    class Meta(AbstractUser.Meta):
        swappable = "AUTH_USER_MODEL"
