"""What the API answers to input that nobody means well: always a problem, never an error of the server."""

import json
from base64 import b64encode

import pytest
from django.conf import settings

from tests.api import PROBLEM, Answer, Api

LISTS = ("products/", "modules/", "devices/", "groups/", "packages/", "batches/", "tasks/")
WRITES = (
    "auth/token/",
    "products/",
    "modules/",
    "devices/",
    "devices/bulk/",
    "groups/",
    "packages/",
    "device-lists/",
    "batches/",
    "batches/review/",
    "tasks/confirm/",
    "tasks/reupgrade/",
)
BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"7",
    b'"text"',
    b"\xff\xfe",
    b'{"name": "\\ud800"}',
    b'{"name": "a\\u0000b"}',
    b'{"a\\u0000b": 1}',
    b"[" * 100_000,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b'{"product_key": NaN}',
    b'{"name": 1e999}',
    b'{"name": ' + b"9" * 5000 + b"}",
    json.dumps({"name": ["x"] * 1000, "product_key": {"a": []}, "version": None}).encode(),
)


def assert_refused(answer: Answer) -> None:
    assert 400 <= answer.status < 500, (answer.status, answer.body)
    assert answer.kind == PROBLEM


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_body_that_makes_no_sense_is_refused(api: Api, path: str, body: bytes) -> None:
    """Broken, too deep, of the wrong shape, with characters that no database keeps."""
    assert_refused(api.send("POST", path, body))


@pytest.mark.parametrize("path", WRITES)
def test_other_media_types_are_refused(api: Api, path: str) -> None:
    """415, or 400 where a form is understood and says nothing."""
    for kind in ("text/plain", "application/xml", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 300):
        assert_refused(api.send("POST", path, b"--x", kind))


def test_a_body_that_is_too_large_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """413, and no more of it is read than the limit."""
    monkeypatch.setattr(settings, "DATA_UPLOAD_MAX_MEMORY_SIZE", 1000)
    answer = api.send("POST", "devices/bulk/", b'{"devices": [' + b"{}," * 1000 + b"{}]}")
    assert (answer.status, answer.body["code"]) == (413, "too_large")


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%%%",
        "=",
        "cD0%3D",
        *(b64encode(text).decode() for text in (b"p=abc", b"p=1%00", b"p=" + b"9" * 40, b"r=x", b"o=-1")),
    ],
)
def test_a_cursor_that_was_not_made_here_is_refused(api: Api, path: str, cursor: str) -> None:
    """400 that names it."""
    assert list(api.get(path, cursor=cursor).errors()) == ["cursor"]


@pytest.mark.parametrize("path", LISTS)
def test_odd_page_sizes_give_a_page(api: Api, path: str) -> None:
    """At most a thousand rows."""
    for size in ("0", "-1", "x", "9" * 50, "1001", "\0"):
        assert api.get(path, page_size=size).status == 200


@pytest.mark.parametrize("path", LISTS)
def test_null_characters_in_filters_are_refused(api: Api, path: str) -> None:
    """By the name of the filter."""
    name = "batch" if path == "tasks/" else "product_key"
    assert name in api.get(path, **{name: "a\0b"}).errors()


@pytest.mark.parametrize(
    "path",
    [
        "products/%00/",
        "products/a%2Fb/",
        "devices/" + "a" * 25 + "%00/",
        "devices/1/",
        "modules/abcd/%00/",
        "tasks/" + "é" * 26 + "/",
        "batches/../../etc/",
        "packages/" + "a" * 26 + "/files/0/",
        "packages/" + "a" * 26 + "/files/99/",
    ],
)
def test_odd_addresses_are_not_found(api: Api, path: str) -> None:
    """404 as a problem."""
    answer = api.get(path)
    assert (answer.status, answer.kind) == (404, PROBLEM)


def test_methods_that_do_not_exist_are_refused(api: Api) -> None:
    """405."""
    answer = api.send("PUT", "products/", b"{}")
    assert (answer.status, answer.body["code"]) == (405, "method_not_allowed")
