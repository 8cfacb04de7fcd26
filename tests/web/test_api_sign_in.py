"""How programs and browsers sign in to the API, and what strangers get."""

import pytest
from django.test import Client

from tests.api import PROBLEM, Api
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_a_name_and_a_password_buy_a_token() -> None:
    """The token opens the API; asking again gives the same one."""
    make_user("operator")
    first = Api(None).post("auth/token/", username="operator", password="secret")
    again = Api(None).post("auth/token/", username="operator", password="secret")
    assert first.status == 200
    assert first.body == again.body
    headers = {"Authorization": f"Token {first.body['token']}"}
    assert Client().get("/api/v1/products/", headers=headers).status_code == 200


def test_a_wrong_password_is_refused_as_a_problem() -> None:
    """Without telling which half was wrong."""
    make_user("operator")
    answer = Api(None).post("auth/token/", username="operator", password="wrong")
    assert answer.errors() == {"": ["Unable to log in with provided credentials."]}


def test_missing_credentials_are_named() -> None:
    """By field."""
    assert Api(None).post("auth/token/").errors().keys() == {"username", "password"}


def test_a_disabled_person_gets_no_token() -> None:
    """Nor does an old token of theirs work."""
    user = make_user("operator")
    api = Api(user)
    user.is_active = False
    user.save(update_fields=["is_active"])
    assert Api(None).post("auth/token/", username="operator", password="secret").status == 400
    assert api.get("products/").status == 401


@pytest.mark.parametrize("path", ["products/", "modules/", "devices/", "groups/", "packages/", "batches/", "tasks/"])
def test_a_stranger_is_refused(path: str) -> None:
    """401 as problem+json, with the challenge."""
    answer = Api(None).get(path)
    assert (answer.status, answer.kind, answer.body["code"]) == (401, PROBLEM, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Token"


def test_a_browsers_session_opens_the_api() -> None:
    """But it cannot write without its token against forged requests."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user())
    assert client.get("/api/v1/products/").status_code == 200
    refused = client.post("/api/v1/products/", {"name": "Meter"}, "application/json")
    assert (refused.status_code, refused.headers["Content-Type"]) == (403, PROBLEM)


def test_nothing_at_an_address_is_a_problem_too() -> None:
    """404 as problem+json."""
    answer = Api(make_user()).get("nowhere/")
    assert (answer.status, answer.kind, answer.body["code"]) == (404, PROBLEM, "not_found")
