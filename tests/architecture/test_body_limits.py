"""Limits of request bodies: the same in server, proxy, pages and documents, and small wherever strangers may send."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from rest_framework.permissions import AllowAny

from ota_console.web.bodies import most_bytes
from ota_console.web.streams import SMALL_BODY_BYTES
from packages_app import limits

PROJECT: Final = Path(__file__).resolve().parents[2]
NGINX: Final = (PROJECT / "deploy/nginx/ota-console.conf").read_text(encoding="utf-8")
MEGABYTE: Final = 1024 * 1024
READ_ONLY: Final = ("api/schema/", "api/docs/", "admin/jsi18n/", "static/")
"""They answer GET alone."""


def addresses(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, Any]]:
    """Every address of the console with its view."""
    for pattern in patterns:
        place = before + re.sub(r"[\^$]|\\Z", "", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, place)
        else:
            yield place, pattern.callback


def is_open(view: Any) -> bool:
    """Whether strangers reach it."""
    api = getattr(view, "cls", None)
    if api is not None:
        allowed = view.initkwargs.get("permission_classes", api.permission_classes)
        return AllowAny in allowed
    return not getattr(view, "login_required", True)


def test_whoever_need_not_sign_in_sends_small_bodies_only() -> None:
    """Each open address stands in OPEN_PATHS."""
    found = {place for place, view in addresses(get_resolver().url_patterns) if is_open(view)}
    assert {"login/", "admin/login/", "api/v1/auth/token/", "broker/auth"} <= found
    large = {place for place in found if most_bytes(f"/{place}") > SMALL_BODY_BYTES}
    assert {place for place in large if not place.startswith(READ_ONLY)} == set()


def test_update_packages_are_taken_at_two_addresses() -> None:
    """20 files of 1,000 MB, and their form."""
    assert set(settings.UPLOAD_PATHS) == {reverse("packages:upload"), reverse("package-list")}
    assert most_bytes(reverse("packages:upload")) == limits.MAX_FILES * limits.MAX_FILE_BYTES + MEGABYTE


def test_the_proxy_has_the_servers_limits() -> None:
    """The whole file's for the two addresses of uploads, and the small one for all others."""
    large, small = limits.MAX_REQUEST_BYTES // MEGABYTE, settings.MOST_BODY_BYTES // MEGABYTE
    assert re.findall(r"client_max_body_size +(\d+)m;", NGINX) == [str(small), str(large)]
    routed = re.search(r"location ~ \^\((.+)\)\$ \{\n +client_max_body_size", NGINX)
    assert routed is not None
    assert set(routed[1].split("|")) == set(settings.UPLOAD_PATHS)


@pytest.mark.django_db
def test_a_person_reads_what_is_too_large() -> None:
    """A page without the inside of the server, that says what to do."""
    answer = Client().post("/login/", {"username": "x" * 70_000, "password": "y"})
    assert answer.status_code == 413
    assert "At most 64 KB are taken at this address, and nothing was stored." in answer.content.decode()
