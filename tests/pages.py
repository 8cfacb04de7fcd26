"""The console as a signed-in person meets it in tests: addresses, htmx headers, and what stands on a page."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from django.http import HttpResponse
from django.test import Client

from ota_console.accounts.models import User

HTMX = {"HX-Request": "true"}
DIALOG = {**HTMX, "HX-Target": "dialog"}


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in {"script", "template", "style"}

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"script", "template", "style"}

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    html: str
    response: Any

    @property
    def text(self) -> str:
        """What a reader reads, with single spaces."""
        words = _Words()
        words.feed(self.html)
        return re.sub(r" (?=[,.])", "", re.sub(r"\s+", " ", " ".join(words.parts))).strip()

    @property
    def location(self) -> str:
        """Where a redirect leads, also one that htmx follows."""
        return str(self.response.headers.get("HX-Redirect") or self.response.headers.get("Location", ""))

    def count(self, name: str) -> str:
        """The first number on the page that is marked as this counter."""
        found = re.search(rf'data-count="{re.escape(name)}">([^<]*)<', self.html)
        return found[1] if found else ""

    @property
    def rows(self) -> list[str]:
        """Public ids of the device updates in the table, in order."""
        return re.findall(r'<tr data-task="(\w+)"', self.html)


class Console:
    """A browser of this person, without its scripts."""

    def __init__(self, user: User) -> None:
        self.client = Client()
        self.client.force_login(user)

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return _answer(self.client.get(path, headers=headers or {}))

    def post(self, path: str, data: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Answer:
        return _answer(self.client.post(path, data or {}, headers=headers or {}))


def _answer(response: Any) -> Answer:
    assert isinstance(response, HttpResponse)
    return Answer(response.status_code, response.content.decode(), response)
