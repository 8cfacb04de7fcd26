"""What somebody is told who gave wrong passwords too often: how long to wait. django-axes counts, for name and address.

`AXES_LOCKOUT_CALLABLE` is `locked_out`: the answer of the two sign-in pages. The API's view asks `lockout_of` itself.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import ngettext

from ota_console.core import clock


@dataclass(frozen=True, slots=True)
class Lockout:
    """`wait_seconds` is at least 1."""

    wait_seconds: int

    @property
    def sentence(self) -> str:
        minutes = ceil(self.wait_seconds / 60)
        return ngettext(
            "There were too many wrong passwords. Wait %(count)d minute, then try again.",
            "There were too many wrong passwords. Wait %(count)d minutes, then try again.",
            minutes,
        ) % {"count": minutes}


class RefusedSignIn(AuthenticationForm):
    """Shows what was typed with the reason, and checks no password."""

    sentence = ""

    def clean(self) -> dict[str, Any]:
        raise ValidationError(self.sentence)


def lockout_of(request: Any) -> Lockout | None:
    """Whether the sign-in that this request just tried was refused for too many failures; django-axes has marked it."""
    if not getattr(request, "axes_locked_out", False):
        return None
    username = (request.axes_credentials or {}).get("username")
    attempts = AccessAttempt.objects.filter(username=username, ip_address=request.axes_ip_address)
    last_at = attempts.aggregate(last_at=Max("attempt_time"))["last_at"] or clock.now()
    left = last_at + settings.AXES_COOLOFF_TIME - clock.now()
    return Lockout(max(1, ceil(left.total_seconds())))


def forget_failures(request: Any, username: str) -> None:
    """The right password came. Signing in to a page does this by itself; a token is given without signing in."""
    AccessAttempt.objects.filter(username=username, ip_address=request.axes_ip_address).delete()


def locked_out(request: HttpRequest, *details: object) -> HttpResponse:
    """The sign-in page once more, with 429."""
    lockout = lockout_of(request) or Lockout(1)
    form = RefusedSignIn(request, data=request.POST)
    form.sentence = lockout.sentence
    context = {"form": form, "next": request.POST.get("next", "")}
    response = render(request, "registration/login.html", context, status=429)
    response["Retry-After"] = str(lockout.wait_seconds)
    return response
