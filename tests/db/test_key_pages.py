import pytest

from ota_console.accounts.models import User
from ota_console.web.pagination import Page, page_by_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def keys() -> list[int]:
    """Of seven rows, newest first."""
    made = User.objects.bulk_create(User(username=f"user-{number}") for number in range(7))
    return sorted((user.pk for user in made), reverse=True)


def page(after: int | None = None, before: int | None = None) -> Page[User]:
    return page_by_key(User.objects.all(), size=3, after=after, before=before)


def test_the_first_page_has_no_previous_one(keys: list[int]) -> None:
    """It leads on from its last row."""
    first = page()
    assert [row.pk for row in first.rows] == keys[:3]
    assert (first.previous_key, first.next_key) == (None, keys[2])


def test_following_the_keys_shows_every_row_once(keys: list[int]) -> None:
    """Nothing is skipped and nothing comes twice."""
    first = page()
    second = page(after=first.next_key)
    third = page(after=second.next_key)
    assert [row.pk for part in (first, second, third) for row in part.rows] == keys
    assert third.next_key is None


def test_going_back_shows_the_page_before(keys: list[int]) -> None:
    """In the same order as on the way there."""
    back = page(before=keys[3])
    assert [row.pk for row in back.rows] == keys[:3]
    assert back.previous_key is None
    assert back.next_key == keys[2]


def test_rows_that_came_meanwhile_do_not_shift_the_next_page(keys: list[int]) -> None:
    """A new row stands in front; the page behind the key is the same."""
    first = page()
    User.objects.create(username="new")
    assert [row.pk for row in page(after=first.next_key).rows] == keys[3:6]


def test_an_empty_list_has_one_empty_page() -> None:
    """And leads nowhere."""
    assert page() == Page(rows=[], next_key=None, previous_key=None)
