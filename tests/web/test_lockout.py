"""Guessing passwords is slow: after some wrong ones, name and address wait, and are told how long."""

import threading
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests.api import PROBLEM, Answer, Api
from tests.factories import make_user

pytestmark = pytest.mark.django_db
ATTEMPTS = 5
FIFTEEN_MINUTES = 15 * 60


@pytest.fixture(autouse=True)
def _people() -> None:
    make_user("operator")
    make_user("admin", is_staff=True, is_superuser=True)


def ask_token(guessed: str, username: str = "operator", address: str = "127.0.0.1") -> Answer:
    return Api(None, address=address).post("auth/token/", username=username, password=guessed)


def guess(page: str = "/login/", guessed: str = "wrong", username: str = "operator") -> str:
    """The status, the seconds to wait, and what the page says."""
    form = {"username": username, "password": guessed, "next": "/ota/batches/"}
    answer = Client(raise_request_exception=False).post(page, form)
    return f"{answer.status_code} {answer.get('Retry-After', '')} {answer.content.decode()}"


def guess_often(how: Callable[[], object]) -> None:
    for _ in range(ATTEMPTS):
        how()


def test_the_sign_in_page_says_how_long_to_wait_and_keeps_what_was_typed() -> None:
    """The right password does not help either, until then."""
    guess_often(guess)
    answer = guess(guessed="secret")
    assert answer.startswith("429 ")
    assert 0 < int(answer.split()[1]) <= FIFTEEN_MINUTES
    assert "There were too many wrong passwords. Wait 15 minutes, then try again." in answer
    assert 'value="operator"' in answer
    assert 'value="/ota/batches/"' in answer
    assert "Traceback" not in answer


def test_a_program_is_refused_as_a_problem() -> None:
    """429 with the seconds to wait."""
    guess_often(lambda: ask_token("wrong"))
    answer = ask_token("secret")
    assert (answer.status, answer.kind, answer.body["code"]) == (429, PROBLEM, "too_many_attempts")
    assert "Wait 15 minutes" in answer.body["detail"]
    assert 0 < int(answer.headers["Retry-After"]) <= FIFTEEN_MINUTES


def test_the_admins_sign_in_counts_too() -> None:
    """It is the same door."""
    page = reverse("admin:login")
    guess_often(lambda: guess(page, username="admin"))
    assert guess(page, "secret", "admin").startswith("429 ")
    assert ask_token("secret", "admin").status == 429


def test_nobody_else_waits() -> None:
    """Neither another name at this address, nor this name at another address: its owner comes in."""
    guess_often(guess)
    assert ask_token("secret", "admin").status == 200
    assert ask_token("secret", address="192.0.2.7").status == 200


def test_the_right_password_forgets_the_wrong_ones() -> None:
    """Who mistypes now and then is never kept out."""
    for _ in range(3):
        for _ in range(ATTEMPTS - 1):
            ask_token("wrong")
        assert ask_token("secret").status == 200


def test_the_wait_ends() -> None:
    """Trying meanwhile does not make it longer; an administrator can end it."""
    guess_often(lambda: ask_token("wrong"))
    first = int(ask_token("secret").headers["Retry-After"])
    assert int(ask_token("wrong").headers["Retry-After"]) <= first
    call_command("axes_reset_username", "operator")
    assert ask_token("secret").status == 200


@pytest.mark.django_db(transaction=True)
def test_guesses_at_once_are_counted_too() -> None:
    """Twelve at the same time: most of them find the door shut, none fails."""
    statuses: list[int] = []

    def one() -> None:
        statuses.append(ask_token("wrong").status)
        connection.close()

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {400, 429}
    assert ask_token("secret").status == 429
