"""A program that speaks to the REST API with a token, as a test reads it best."""

import json
from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.authtoken.models import Token

from ota_console.accounts.models import User

PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and parsed body; `kind` is the media type."""

    status: int
    body: Any
    kind: str
    headers: Any

    def errors(self) -> dict[str, list[str]]:
        """What is wrong, by field; fails where the answer is no problem+json with errors."""
        assert (self.status, self.kind) == (400, PROBLEM), (self.status, self.body)
        found: dict[str, list[str]] = self.body["errors"]
        return found


class Api:
    """`api.post("devices/", product_key=…)`; addresses are below /api/v1/."""

    def __init__(self, user: User | None, *, address: str = "127.0.0.1") -> None:
        self._client = Client(raise_request_exception=False, REMOTE_ADDR=address)
        self._headers = {}
        if user is not None:
            token, _ = Token.objects.get_or_create(user=user)
            self._headers = {"Authorization": f"Token {token.key}"}

    def get(self, path: str, **query: Any) -> Answer:
        return self._answer(self._client.get(self._address(path), query, headers=self._headers))

    def post(self, path: str, **body: Any) -> Answer:
        return self.send("POST", path, json.dumps(body).encode())

    def patch(self, path: str, **body: Any) -> Answer:
        return self.send("PATCH", path, json.dumps(body).encode())

    def delete(self, path: str) -> Answer:
        return self._answer(self._client.delete(self._address(path), headers=self._headers))

    def send(self, method: str, path: str, body: bytes, content_type: str = "application/json") -> Answer:
        """Any bytes."""
        sent = self._client.generic(method, self._address(path), body, content_type, headers=self._headers)
        return self._answer(sent)

    def upload(self, path: str, files: dict[str, bytes], field: str = "files", **fields: Any) -> Answer:
        """A multipart form with files by name."""
        parts = [SimpleUploadedFile(name, content) for name, content in files.items()]
        return self._answer(self._client.post(self._address(path), {**fields, field: parts}, headers=self._headers))

    def follow(self, link: str) -> Answer:
        """`next` or `previous` of a page."""
        return self._answer(self._client.get(link, headers=self._headers))

    def pages(self, path: str, **query: Any) -> list[list[Any]]:
        """All pages of a list, by following `next`."""
        page = self.get(path, **query)
        pages = [page.body["results"]]
        while page.body["next"]:
            page = self.follow(page.body["next"])
            pages.append(page.body["results"])
        return pages

    @staticmethod
    def _address(path: str) -> str:
        return path if path.startswith("/") else f"/api/v1/{path}"

    @staticmethod
    def _answer(response: Any) -> Answer:
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        body = json.loads(response.content) if kind.endswith("json") and response.content else response.content
        return Answer(response.status_code, body, kind, response.headers)
