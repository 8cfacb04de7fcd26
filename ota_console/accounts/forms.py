"""The sign-in form, in the words of its own labels."""

from django.contrib.auth.forms import AuthenticationForm
from django.utils.translation import gettext_lazy as _


class SignInForm(AuthenticationForm):
    """Django's, whose message speaks of a "username"."""

    error_messages = {
        "invalid_login": _("This user name and password do not go together. Both are case-sensitive; try again."),
        "inactive": _("This account is switched off. Ask an administrator to switch it on."),
    }
