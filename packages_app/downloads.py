"""The download server: a WSGI application that hands out files of packages, to devices and to people, by signed link.

It stands beside Django's middleware on purpose: devices send no cookies, odd Host headers and plain HTTP, and the
headers on the wire must be exactly these (vendor reference §4.8, interop.md 7: `Content-Length` spelled so, no chunked
coding, single ranges). Constant memory: the file goes out by sendfile where the server can, else in blocks. It changes
nothing.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment
from wsgiref.util import FileWrapper

import structlog
from django.db import Error as DatabaseError
from django.db import connections, reset_queries

from packages_app import selectors
from packages_app.links import Link, LinkKind, LinkProblem, check_path
from packages_app.ranges import Span, Unsatisfiable, is_range_current, is_unchanged, requested_span
from packages_app.selectors import FileFacts

log = structlog.get_logger(__name__)

SEND_TIMEOUT_SECONDS: Final = 60.0
"""A receiver that takes nothing for so long is cut off: it can resume, and must not hold a thread."""
_BLOCK_BYTES: Final = 256 * 1024

_REFUSALS: Final = {
    LinkProblem.MALFORMED: ("404 Not Found", "There is nothing at this address.\n"),
    LinkProblem.FORGED: ("403 Forbidden", "This download link was not made here.\n"),
    LinkProblem.EXPIRED: ("410 Gone", "This download link has expired.\n"),
}
_ENDED: Final = ("410 Gone", "The update of this device has ended, and its download link with it.\n")
_DELETED: Final = ("410 Gone", "This update package has been deleted.\n")
_LOST: Final = ("404 Not Found", "This file is not in the storage.\n")
_UNAVAILABLE: Final = ("503 Service Unavailable", "The server is busy. Try again.\n")
_NOT_ALLOWED: Final = ("405 Method Not Allowed", "Use GET or HEAD.\n")

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status line, headers and body of a response; `body` is text, or an open file and what of it to send."""

    status: str
    headers: Headers
    text: bytes = b""
    file: "FileSlice | None" = None


class FileSlice:
    """A part of an open file as a WSGI server reads it: positioned at its start, ending where the part ends."""

    def __init__(self, file: BinaryIO, span: Span) -> None:
        self._file = file
        self._left = span.length
        file.seek(span.start)

    def fileno(self) -> int:
        """For sendfile, which starts at the current position and goes on for Content-Length bytes."""
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        """The next bytes of the part."""
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        return data

    def close(self) -> None:
        """The server has sent the part, or gave up."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class DownloadServer:
    """The WSGI application. Its ports are given to it where the whole is put together."""

    key: bytes
    """From `links.derive_key`."""
    is_task_alive: Callable[[str], int | None]
    """Public id of a task → the id of its package, or None once the task has ended or is being canceled."""
    now: Callable[[], datetime]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        answer = self._answer(environ)
        start_response(answer.status, answer.headers)
        if answer.file is None:
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.text]
        _limit_sending(environ.get("gunicorn.socket"))
        wrapper: Callable[[Any, int], Iterable[bytes]] = environ.get("wsgi.file_wrapper", FileWrapper)
        return wrapper(answer.file, _BLOCK_BYTES)

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _text(_NOT_ALLOWED, ("Allow", "GET, HEAD"))
        link = check_path(environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", ""), now=self.now(), key=self.key)
        if isinstance(link, LinkProblem):
            return _text(_REFUSALS[link])
        try:
            found = self._find(link)
        except DatabaseError:
            log.exception("download_database_unavailable")
            return _text(_UNAVAILABLE, ("Retry-After", "10"))
        return found if isinstance(found, Answer) else _send(environ, link, found)

    def _find(self, link: Link) -> FileFacts | Answer:
        """The named file. The connection is given back before the first byte leaves: downloads are long."""
        reset_queries()
        _give_back_connections()
        try:
            if link.kind is LinkKind.DEVICE:
                package_id, missing = self.is_task_alive(link.public_id), _ENDED
            else:
                package_id, missing = selectors.package_id_of(link.public_id), _DELETED
            if package_id is None:
                return _text(missing)
            return selectors.package_file(package_id, link.position) or _text(_REFUSALS[LinkProblem.MALFORMED])
        finally:
            _give_back_connections()


def _give_back_connections() -> None:
    """Close what has served its time, as Django does around a request; never inside somebody's transaction."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _send(environ: WSGIEnvironment, link: Link, facts: FileFacts) -> Answer:
    etag = f'"{facts.sha256}"'
    if is_unchanged(environ.get("HTTP_IF_NONE_MATCH"), etag):
        return Answer("304 Not Modified", [("ETag", etag)])
    span = requested_span(environ.get("HTTP_RANGE"), facts.size_bytes) if _wants_range(environ, etag) else None
    if isinstance(span, Unsatisfiable):
        refusal = ("416 Range Not Satisfiable", "The file is shorter.\n")
        return _text(refusal, ("Content-Range", f"bytes */{facts.size_bytes}"))
    status = "200 OK" if span is None else "206 Partial Content"
    headers = _file_headers(link, facts, etag, span)
    if environ["REQUEST_METHOD"] == "HEAD":
        return Answer(status, headers)
    file = _open(facts)
    if file is None:
        return _text(_LOST)
    return Answer(status, headers, file=FileSlice(file, span or Span(0, facts.size_bytes)))


def _wants_range(environ: WSGIEnvironment, etag: str) -> bool:
    return environ["REQUEST_METHOD"] == "GET" and is_range_current(environ.get("HTTP_IF_RANGE"), etag)


def _file_headers(link: Link, facts: FileFacts, etag: str, span: Span | None) -> Headers:
    headers = [
        ("Content-Type", "application/octet-stream"),
        ("Content-Length", str(facts.size_bytes if span is None else span.length)),
        ("Accept-Ranges", "bytes"),
        ("ETag", etag),
        ("Cache-Control", "private, no-transform"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if span is not None:
        headers.append(("Content-Range", f"bytes {span.start}-{span.last}/{facts.size_bytes}"))
    if link.kind is LinkKind.PERSON:
        headers.append(("Content-Disposition", f"attachment; filename*=UTF-8''{quote(facts.name, safe='')}"))
    return headers


def _open(facts: FileFacts) -> BinaryIO | None:
    """The stored file, unbuffered where it is a local one; None where it is lost or damaged."""
    storage = selectors.storage()
    try:
        file = _open_local(storage.path(facts.stored_name))
    except NotImplementedError:
        return storage.open(facts.stored_name, "rb")  # type: ignore[return-value]  # django's File is a binary stream
    except OSError:
        log.exception("download_file_lost", stored_name=facts.stored_name)
        return None
    size = os.fstat(file.fileno()).st_size
    if size != facts.size_bytes:
        log.error(
            "download_file_damaged", stored_name=facts.stored_name, size_bytes=size, expected_bytes=facts.size_bytes
        )
        file.close()
        return None
    return file


def _open_local(path: str) -> BinaryIO:
    return Path(path).open("rb", buffering=0)  # raw, so that sendfile knows the place


def _limit_sending(connection: Any) -> None:
    if connection is not None:
        connection.settimeout(SEND_TIMEOUT_SECONDS)


def _text(refusal: tuple[str, str], *headers: tuple[str, str]) -> Answer:
    status, sentence = refusal
    body = sentence.encode()
    common = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    return Answer(status, [*common, *headers], body)
