import pytest
from django.http import Http404
from rest_framework.exceptions import NotAuthenticated, Throttled, ValidationError

from ota_console.core.errors import Conflict, Forbidden, Invalid, NotFound, OtaError
from ota_console.web.errors import problem_of, problem_response


@pytest.mark.parametrize(("kind", "status"), [(Conflict, 409), (Forbidden, 403), (NotFound, 404)])
def test_each_kind_of_domain_error_has_its_status(kind: type[OtaError], status: int) -> None:
    """The code is for programs, the sentence for people."""
    body = problem_of(kind("BATCH_ENDED", "The batch has ended."))
    assert (body["status"], body["code"], body["detail"]) == (status, "BATCH_ENDED", "The batch has ended.")


def test_a_domain_error_names_the_field_at_fault() -> None:
    """Its sentence stands under that field, too."""
    body = problem_of(Invalid("RATE", "Enter 1 to 100000.", "rate"))
    assert (body["field"], body["errors"]) == ("rate", {"rate": ["Enter 1 to 100000."]})


def test_an_invalid_form_lists_every_field() -> None:
    """A program shows all of them at once."""
    errors = {"rate": ["Too high."], "tags": ["Too many."]}
    assert problem_of(Invalid("invalid", "Two fields are wrong.", errors=errors))["errors"] == errors


def problem_of_api(error: Exception) -> dict[str, object]:
    response = problem_response(error, {})
    assert response is not None
    body: dict[str, object] = response.data
    return body


def test_a_serializers_errors_are_named_by_their_path() -> None:
    """Lists count from zero; the first field stands in front."""
    body = problem_of_api(ValidationError({"targets": [{}, {"name": ["Too long."]}]}))
    assert (body["field"], body["detail"]) == ("targets.1.name", "Too long.")


def test_an_error_of_the_whole_form_has_no_field() -> None:
    """Its key is empty."""
    body = problem_of_api(ValidationError({"non_field_errors": ["They contradict each other."]}))
    assert "field" not in body
    assert body["errors"] == {"": ["They contradict each other."]}


def test_a_missing_sign_in_tells_how_to() -> None:
    """The status and the code follow DRF."""
    assert problem_of_api(NotAuthenticated())["code"] == "not_authenticated"


def test_a_missing_object_is_a_problem_too() -> None:
    """Django's own exception is translated."""
    assert problem_of_api(Http404())["status"] == 404


def test_a_throttled_program_is_told_when_to_come_again() -> None:
    """In the header that clients know."""
    response = problem_response(Throttled(wait=7), {})
    assert response is not None
    assert response["Retry-After"] == "7"


def test_an_unexpected_error_is_left_to_django() -> None:
    """It becomes a 500 that says nothing of the inside."""
    assert problem_response(ZeroDivisionError(), {}) is None
