"""One view, two answers: a whole page, or only the fragment that htmx asked to swap."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """A request as it is behind the htmx middleware."""

    htmx: HtmxDetails


def wants_fragment(request: HttpRequest) -> bool:
    """True where htmx swaps a part; a boosted link or a restored history entry wants the whole page."""
    details: HtmxDetails | None = getattr(request, "htmx", None)
    return details is not None and bool(details) and not details.boosted and not details.history_restore_request


def page_or_fragment(
    request: HttpRequest,
    page: str,
    fragment: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
) -> HttpResponse:
    """Render `fragment` for htmx and `page` for everybody else; caches keep the two apart."""
    response = render(request, fragment if wants_fragment(request) else page, dict(context), status=status)
    response["Vary"] = "HX-Request, Cookie"
    return response


def redirect_whole_page(request: HttpRequest, url: str) -> HttpResponse:
    """Send the browser to `url`, also from inside a swap."""
    if wants_fragment(request):
        return HttpResponseClientRedirect(url)
    response = HttpResponse(status=303)
    response["Location"] = url
    return response
