import pytest
from django.test import Client

from ota_console.accounts.commands import ensure_user
from ota_console.accounts.models import User

pytestmark = pytest.mark.django_db
PASSWORD = "correct-horse-battery"


@pytest.fixture
def operator() -> User:
    made = ensure_user(username="operator", password=PASSWORD, is_admin=False)
    return User.objects.get(pk=made.user_id)


def test_a_stranger_is_sent_to_the_sign_in_page(client: Client) -> None:
    """Every page asks for it, and comes back to where the person wanted to go."""
    response = client.get("/account/theme/")
    assert (response.status_code, response["Location"]) == (302, "/login/?next=/account/theme/")


def test_the_sign_in_page_lets_the_right_password_in(client: Client, operator: User) -> None:
    """The session starts and the console opens."""
    response = client.post("/login/", {"username": "operator", "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/")
    assert client.session["_auth_user_id"] == str(operator.pk)


def test_a_wrong_password_is_told_without_telling_which_half_was_wrong(client: Client, operator: User) -> None:
    """The page comes again with one sentence."""
    response = client.post("/login/", {"username": "operator", "password": "wrong"})
    assert response.status_code == 200
    assert "This user name and password do not go together." in response.content.decode()


def test_signing_out_ends_the_session(client: Client, operator: User) -> None:
    """Only a POST does it, so no link of another site can."""
    client.force_login(operator)
    assert client.get("/logout/").status_code == 405
    client.post("/logout/")
    assert "_auth_user_id" not in client.session


def test_the_theme_is_kept_with_the_account(client: Client, operator: User) -> None:
    """And in the cookie that the page reads before its first paint."""
    client.force_login(operator)
    response = client.post("/account/theme/", {"theme": "dark"})
    operator.refresh_from_db()
    assert (response.status_code, operator.theme) == (204, "dark")
    assert response.cookies["theme"].value == "dark"


def test_an_unknown_theme_is_refused(client: Client, operator: User) -> None:
    """Nothing is stored that no style sheet knows."""
    client.force_login(operator)
    assert client.post("/account/theme/", {"theme": "pink"}).status_code == 400


def test_times_are_shown_in_the_persons_zone(client: Client, operator: User) -> None:
    """The page says which zone it shows."""
    User.objects.filter(pk=operator.pk).update(time_zone="Asia/Shanghai")
    client.force_login(operator)
    assert b'data-time-zone="Asia/Shanghai"' in client.get("/", follow=True).content


def test_ensuring_a_user_again_changes_only_the_password(operator: User) -> None:
    """The demo's second start makes no second account."""
    again = ensure_user(username="operator", password="another-long-one", is_admin=False)
    operator.refresh_from_db()
    assert (again.user_id, again.is_new) == (operator.pk, False)
    assert operator.check_password("another-long-one")
