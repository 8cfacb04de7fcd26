"""What people change about their own account."""

from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from ota_console.accounts.models import User
from ota_console.core.errors import Invalid


@dataclass(frozen=True, slots=True)
class ThemeChosen:
    theme: str


@dataclass(frozen=True, slots=True)
class UserEnsured:
    user_id: int
    is_new: bool


def choose_theme(*, user_id: int, theme: str) -> ThemeChosen:
    """Keep the look of the console for this person. Raises Invalid for an unknown theme."""
    if theme not in User.Theme.values:
        raise Invalid("theme_unknown", _("Choose one of the three themes."), "theme")
    User.objects.filter(pk=user_id).update(theme=theme)
    return ThemeChosen(theme=theme)


def ensure_user(*, username: str, password: str, is_admin: bool) -> UserEnsured:
    """Make the account, or give it this password; for the demo, tests and a first start."""
    users = get_user_model().objects
    user, is_new = users.get_or_create(username=username, defaults={"is_staff": is_admin, "is_superuser": is_admin})
    if is_new or not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    return UserEnsured(user_id=user.pk, is_new=is_new)
