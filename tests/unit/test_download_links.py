"""Signed download links: what was signed is accepted until it expires, and nothing else is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages_app.links import (
    MAX_LIFETIME,
    MAX_PATH_LENGTH,
    Link,
    LinkKind,
    LinkProblem,
    check_path,
    checked_base_url,
    derive_key,
    signed_path,
)

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
KEY = derive_key("a secret")
TASK = "0AbCdEfGhIjKlMnOpQrStUvWx9"
LINK = Link(LinkKind.DEVICE, TASK, 1)

links = st.builds(
    Link,
    st.sampled_from(LinkKind),
    st.from_regex(r"[0-9A-Za-z]{26}", fullmatch=True).filter(str.isascii),
    st.integers(1, 20),
)
lifetimes = st.timedeltas(min_value=timedelta(seconds=2), max_value=MAX_LIFETIME)


def sign(link: Link = LINK, lifetime: timedelta = timedelta(hours=1)) -> tuple[str, str]:
    path, _, query = signed_path(link, now=NOW, expires_at=NOW + lifetime, key=KEY).partition("?")
    return path, query


@given(links, lifetimes)
def test_a_signed_link_names_what_was_signed(link: Link, lifetime: timedelta) -> None:
    path, query = sign(link, lifetime)
    assert check_path(path, query, now=NOW, key=KEY) == link


@given(links, lifetimes)
def test_path_and_query_stay_below_256_characters(link: Link, lifetime: timedelta) -> None:
    path, query = sign(link, lifetime)
    assert len(f"{path}?{query}") <= MAX_PATH_LENGTH


def test_a_link_looks_as_documented() -> None:
    path, query = sign()
    assert path == f"/d/{TASK}/1"
    assert query.startswith("e=1795165200&s=")
    assert len(query) == len("e=1795165200&s=") + 32


@given(lifetimes)
def test_a_link_is_expired_from_its_second_on(lifetime: timedelta) -> None:
    path, query = sign(LINK, lifetime)
    end = datetime.fromtimestamp(int((NOW + lifetime).timestamp()), UTC)
    assert check_path(path, query, now=end - timedelta(microseconds=1), key=KEY) == LINK
    assert check_path(path, query, now=end, key=KEY) is LinkProblem.EXPIRED


def test_a_link_for_more_than_7_days_is_not_made() -> None:
    with pytest.raises(ValueError, match="at most 7 days"):
        sign(LINK, MAX_LIFETIME + timedelta(seconds=1))


@given(st.data())
def test_any_changed_character_makes_a_link_worthless(data: st.DataObject) -> None:
    path, query = sign()
    text = f"{path}?{query}"
    at = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters().filter(lambda c: c != text[at]))
    changed_path, _, changed_query = (text[:at] + character + text[at + 1 :]).partition("?")
    assert isinstance(check_path(changed_path, changed_query, now=NOW, key=KEY), LinkProblem)


def test_a_link_of_another_installation_is_forged() -> None:
    path, query = sign()
    assert check_path(path, query, now=NOW, key=derive_key("another secret")) is LinkProblem.FORGED


def test_a_devices_link_does_not_open_the_same_path_for_people() -> None:
    path, query = sign()
    assert check_path("/p" + path[2:], query, now=NOW, key=KEY) is LinkProblem.FORGED


@given(st.text(), st.text())
def test_anything_else_is_answered_and_never_raises(path: str, query: str) -> None:
    assert check_path(path, query, now=NOW, key=KEY) is LinkProblem.MALFORMED


@pytest.mark.parametrize("position", ["0", "00", "01", "21", "99", "100", "-1", "１"])
def test_positions_outside_1_to_20_are_malformed(position: str) -> None:
    _, query = sign()
    assert check_path(f"/d/{TASK}/{position}", query, now=NOW, key=KEY) is LinkProblem.MALFORMED


def test_the_base_url_loses_its_last_slash() -> None:
    assert checked_base_url("https://ota.example.com/") == "https://ota.example.com"
    assert checked_base_url("http://10.0.0.1:8010/fw//") == "http://10.0.0.1:8010/fw"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ota.example.com",
        "ftp://host",
        "http://",
        "http://host/a?b=c",
        "http://host/#x",
        "http://ho st",
        "http://" + "h" * 256,
        "http://h/" + "p" * 200,
    ],
)
def test_a_base_url_that_c_devices_cannot_use_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        checked_base_url(url)
