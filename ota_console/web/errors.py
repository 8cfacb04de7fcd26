"""The one place that turns an error into an answer: a page, a toast's fragment, or problem+json.

Domain errors keep their code and sentence; everything unexpected stays a 500 that says nothing of the inside.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    UnreadablePostError,
)
from django.shortcuts import render
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from ota_console.core.errors import Invalid, OtaError
from ota_console.web.htmx import wants_fragment

PROBLEM_TYPE: Final = "application/problem+json"
API_PREFIX: Final = "/api/"


def problem(
    *, status: int, code: str, detail: str, field: str | None = None, errors: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The body of RFC 9457 with our `code`, and the field at fault where one is."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    body |= {"detail": detail, "code": code}
    if field:
        body["field"] = field
    if errors:
        body["errors"] = dict(errors)
    return body


def problem_of(error: OtaError) -> dict[str, Any]:
    errors = error.errors if isinstance(error, Invalid) else None
    return problem(status=error.status, code=error.code, detail=error.message, field=error.field, errors=errors)


def problem_response(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler; None hands an unexpected error back to Django's 500."""
    if isinstance(error, OtaError):
        set_rollback()
        return _api_response(problem_of(error), {})
    known = _as_api_exception(error)
    if known is None:
        return None
    set_rollback()
    headers: dict[str, str] = {}
    if challenge := getattr(known, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(known, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return _api_response(_problem_of_api_exception(known), headers)


class DomainErrorMiddleware:
    """Answers an OtaError that a page's view raised; the API's views answer for themselves."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, OtaError):
            return None
        if wants_fragment(request):
            response = render(request, "components/_error.html", {"error": error}, status=error.status)
            response["HX-Retarget"] = "#messages"
            response["HX-Reswap"] = "beforeend"
            return response
        return render(request, _template(error.status), {"error": error}, status=error.status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 400, "bad_request", "The request cannot be understood.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 403, "forbidden", "You may not do this.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 404, "not_found", "There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(request, 500, "server_error", "Something went wrong on the server. It has been logged.")


def refuse_body(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    """A request whose body nobody will read, as a program or a page understands it."""
    if request.path.startswith(API_PREFIX) or "application/json" in request.headers.get("Accept", ""):
        body = problem(status=status, code=code, detail=detail)
        return JsonResponse(body, status=status, content_type=PROBLEM_TYPE)
    return render(request, _template(status), {"error": {"message": detail}}, status=status)


def _answer(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    if request.path.startswith(API_PREFIX):
        body = problem(status=status, code=code, detail=detail)
        return JsonResponse(body, status=status, content_type=PROBLEM_TYPE)
    return render(request, _template(status), status=status)


def _template(status: int) -> str:
    return {403: "403.html", 404: "404.html", 413: "413.html", 500: "500.html"}.get(status, "400.html")


def _api_response(body: dict[str, Any], headers: dict[str, str]) -> Response:
    return Response(body, status=body["status"], headers=headers, content_type=PROBLEM_TYPE)


def _as_api_exception(error: Exception) -> exceptions.APIException | None:
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, UnreadablePostError):
        return exceptions.ParseError("The request was cut off. Nothing was stored; send it again.")
    return error if isinstance(error, exceptions.APIException) else None


def _problem_of_api_exception(error: exceptions.APIException) -> dict[str, Any]:
    if isinstance(error, exceptions.ValidationError):
        errors = _by_field(error.detail)
        field = next(iter(errors), "")
        detail = errors[field][0] if errors else str(error.default_detail)
        return problem(status=error.status_code, code="invalid", detail=detail, field=field, errors=errors)
    code = str(error.get_codes())
    return problem(status=error.status_code, code=code, detail=str(error.detail))


def _by_field(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Flatten DRF's nested details to `{"targets.0.name": ["sentence"]}`; the whole form's key is empty."""
    if isinstance(detail, dict):
        pairs = [(("" if name == "non_field_errors" else str(name)), value) for name, value in detail.items()]
    elif isinstance(detail, list) and any(isinstance(value, (dict, list)) for value in detail):
        pairs = [(str(index), value) for index, value in enumerate(detail) if value]
    else:
        sentences = detail if isinstance(detail, list) else [detail]
        return {path: [str(sentence) for sentence in sentences]}
    flat: dict[str, list[str]] = {}
    for name, value in pairs:
        flat |= _by_field(value, ".".join(part for part in (path, name) if part))
    return flat
