"""How large a request may be, by its address: hard limits, checked before a byte of the body is read.

Who may send it is asked next, by Django's own middleware; a stranger's request is answered without its body. Whatever
needs no sign-in (`settings.OPEN_PATHS`) takes small bodies only, so that nobody outside can store anything here.
"""

from collections.abc import Callable
from typing import Any, Final

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.utils.translation import gettext as _

from ota_console.web.errors import refuse_body
from ota_console.web.streams import SMALL_BODY_BYTES

MEGABYTE: Final = 1024 * 1024


def most_bytes(path: str) -> int:
    """The largest body that an address takes."""
    if path in settings.UPLOAD_PATHS:
        return int(settings.MOST_UPLOAD_BYTES)
    return SMALL_BODY_BYTES if path.startswith(settings.OPEN_PATHS) else int(settings.MOST_BODY_BYTES)


@sync_and_async_middleware
def body_limits(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: 413 for a body that is announced as too large, 411 for a large one of unknown length."""
    if iscoroutinefunction(get_response):

        async def asynchronous(request: HttpRequest) -> HttpResponseBase:
            answer: HttpResponseBase = _refusal(request) or await get_response(request)
            return answer

        return asynchronous

    def synchronous(request: HttpRequest) -> HttpResponseBase:
        answer: HttpResponseBase = _refusal(request) or get_response(request)
        return answer

    return synchronous


def _refusal(request: HttpRequest) -> HttpResponse | None:
    announced = request.META.get("CONTENT_LENGTH") or ""
    if not announced and request.META.get("HTTP_TRANSFER_ENCODING"):
        sentence = _("Say how large the request is: send it with a Content-Length.")
        return refuse_body(request, 411, "length_required", sentence)
    most = most_bytes(request.path)
    if announced.isdecimal() and int(announced) > most:
        return refuse_body(request, 413, "too_large", _too_large(most))
    return None


def _too_large(most: int) -> str:
    size = f"{most // MEGABYTE:,} MB" if most >= MEGABYTE else f"{most // 1024} KB"
    return _("At most %(size)s are taken at this address, and nothing was stored. Send less, and try again.") % {
        "size": size
    }
