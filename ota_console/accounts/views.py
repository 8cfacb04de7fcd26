"""Signing in and out, and the look that a person chose. Views translate and delegate; no rule stands here."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from ota_console.accounts.commands import choose_theme
from ota_console.accounts.forms import SignInForm
from ota_console.core.errors import Forbidden

THEME_COOKIE_SECONDS = 365 * 24 * 3600


@method_decorator(login_not_required, name="dispatch")
class SignIn(LoginView):
    """The sign-in page; a person who is signed in already goes on to the console."""

    template_name = "registration/login.html"
    form_class = SignInForm
    redirect_authenticated_user = True


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keep the theme with the account and in the cookie that the page reads before its first paint."""
    if request.user.pk is None:
        raise Forbidden("forbidden", "Sign in first.")
    chosen = choose_theme(user_id=request.user.pk, theme=request.POST.get("theme", ""))
    response = HttpResponse(status=204)
    response.set_cookie("theme", chosen.theme, max_age=THEME_COOKIE_SECONDS, samesite="Lax")
    return response
