"""What the views share: who acts, what a dialog is, and where to go afterwards."""

from urllib.parse import parse_qsl, urlencode, urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from ota_console.audit.actor import Actor
from ota_console.web.htmx import redirect_whole_page, wants_fragment


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person."""
    return Actor(request.user.pk, request.user.get_username())


def wants_dialog(request: HttpRequest) -> bool:
    """Whether a page's script asks for the dialog alone; a pasted link gets the page with the dialog open on it."""
    return wants_fragment(request) and request.headers.get("HX-Target") == "dialog"


def wants_drawer(request: HttpRequest) -> bool:
    """Whether a page's script asks for the drawer of a device alone."""
    return wants_fragment(request) and request.headers.get("HX-Target") == "drawer"


def page_or_dialog(
    request: HttpRequest, page: str, fragment: str, dialog: str, context: dict[str, object]
) -> HttpResponse:
    """The dialog alone, the rows alone, or the page with an open dialog. `dialog` is a template, or empty for none."""
    if wants_dialog(request):
        return render(request, dialog or "components/_no_dialog.html", context)
    context["dialog_template"] = dialog
    response = render(request, fragment if wants_fragment(request) else page, context)
    response["Vary"] = "HX-Request, Cookie"
    return response


def leave_dialog(request: HttpRequest, fallback: str) -> HttpResponse:
    """Back to the page that the person sees, without its dialog; to `fallback` where no script runs."""
    seen = request.headers.get("HX-Current-URL", "")
    if not url_has_allowed_host_and_scheme(seen, {request.get_host()}):
        return redirect_whole_page(request, fallback)
    parts = urlsplit(seen)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in {"dialog", "task"}]
    return redirect_whole_page(request, f"{parts.path}?{urlencode(query)}" if query else parts.path)
