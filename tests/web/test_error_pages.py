import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django_htmx.middleware import HtmxDetails

from ota_console.core.errors import Conflict, Forbidden, Invalid, NotFound, OtaError
from ota_console.web.errors import DomainErrorMiddleware, server_error


def request(path: str = "/batches/", **headers: str) -> HttpRequest:
    made = RequestFactory().get(path, headers=headers)
    made.user = AnonymousUser()
    made.htmx = HtmxDetails(made)  # type: ignore[attr-defined]  # the middleware of django-htmx sets it
    return made


def answer(error: Exception, **headers: str) -> HttpResponse | None:
    middleware = DomainErrorMiddleware(lambda _: HttpResponse())
    return middleware.process_exception(request(**headers), error)


@pytest.mark.parametrize(("kind", "status"), [(Invalid, 400), (Forbidden, 403), (NotFound, 404), (Conflict, 409)])
def test_a_domain_error_of_a_page_becomes_a_page(kind: type[OtaError], status: int) -> None:
    """With the status that programs see, too."""
    response = answer(kind("CODE", "The batch has ended."))
    assert response is not None
    assert response.status_code == status


def test_a_page_tells_the_sentence_of_the_error() -> None:
    """The person reads what to do, not a number."""
    response = answer(NotFound("BATCH_UNKNOWN", "This batch was deleted."))
    assert response is not None
    assert "This batch was deleted." in response.content.decode()


def test_a_domain_error_of_a_fragment_becomes_a_message() -> None:
    """What stood on the page stays; the sentence appears beside it."""
    response = answer(Conflict("BATCH_ENDED", "The batch has ended."), **{"HX-Request": "true"})
    assert response is not None
    assert (response["HX-Retarget"], response["HX-Reswap"]) == ("#messages", "beforeend")
    assert "The batch has ended." in response.content.decode()


def test_any_other_error_is_left_to_django() -> None:
    """A bug is a 500 with a log line."""
    assert answer(ZeroDivisionError()) is None


def test_a_server_error_says_nothing_of_the_inside() -> None:
    """The page works without a session or a database."""
    response = server_error(request())
    assert response.status_code == 500
    assert "Traceback" not in response.content.decode()


def test_a_server_error_of_the_api_is_a_problem() -> None:
    """Programs get the form that they know."""
    response = server_error(request("/api/v1/batches/"))
    assert (response.status_code, response["Content-Type"]) == (500, "application/problem+json")


@pytest.mark.django_db
def test_an_unknown_address_of_the_api_is_a_problem(admin_client: Client) -> None:
    """Not a page of HTML."""
    response = admin_client.get("/api/v1/nothing-here/")
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
