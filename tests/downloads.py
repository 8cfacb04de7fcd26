"""The download server as a process of its own on the tests' database, and a client that shows the bytes as they are."""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.conf import settings
from django.db import connection

from ota_console.core import clock
from ota_console.demo.processes import Child, Program, accepts_connections, free_port
from packages_app.links import Link, LinkKind, derive_key, signed_path
from tests.servers import running

CRLF: Final = b"\r\n"
TIMEOUT_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class DownloadProcess:
    """A running server and where it listens."""

    port: int
    child: Child


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer as it stood on the wire."""

    status_line: bytes
    header_lines: tuple[bytes, ...]
    body: bytes


@contextlib.contextmanager
def running_downloads() -> Iterator[DownloadProcess]:
    """Gunicorn with the product's own entry point, on the database of the tests."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--threads", "4", "--workers", "1"]
    program = Program(
        name="downloads",
        command=[*command, "--log-level", "warning", "--bind", f"127.0.0.1:{port}", "ota_console.wsgi:application"],
        environment={**os.environ, "DATABASE_URL": database_url()},
        is_ready=partial(accepts_connections, port),
    )
    with running(program) as child:
        yield DownloadProcess(port, child)


def database_url() -> str:
    """The tests' own database, for another process."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{given['NAME']}"
    return f"postgres://{given['USER']}@{given['HOST']}:{given['PORT']}/{given['NAME']}"


def target(kind: LinkKind, public_id: str, *, position: int = 1, lifetime: timedelta = timedelta(hours=1)) -> str:
    """Path and query of a link that this installation signed."""
    now: datetime = clock.now()
    key = derive_key(settings.SECRET_KEY)
    return signed_path(Link(kind, public_id, position), now=now, expires_at=now + lifetime, key=key)


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A connection for one or more requests."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as client:
        yield client


def ask(port: int, path: str, *headers: str, method: str = "GET") -> Raw:
    """One request on a connection of its own."""
    with connected(port) as client:
        send(client, path, *headers, method=method)
        return receive(client, has_body=method != "HEAD")


def send(client: socket.socket, path: str, *headers: str, method: str = "GET") -> None:
    """A request as a device's SDK writes it."""
    lines = [f"{method} {path} HTTP/1.1", "Host: a.device.does.not.care:1234", *headers, "", ""]
    client.sendall("\r\n".join(lines).encode())


def receive(client: socket.socket, *, has_body: bool = True) -> Raw:
    """One answer: its head, and as many bytes as Content-Length says."""
    head, rest = receive_head(client)
    status_line, *header_lines = head.split(CRLF)
    length = next((int(line[16:]) for line in header_lines if line.startswith(b"Content-Length: ")), 0)
    while has_body and len(rest) < length and (more := client.recv(65536)):
        rest += more
    return Raw(status_line, tuple(header_lines), rest)


def receive_head(client: socket.socket) -> tuple[bytes, bytes]:
    """The head without its empty line, and what came of the body with it."""
    received = b""
    while CRLF * 2 not in received and (more := client.recv(65536)):
        received += more
    head, _, rest = received.partition(CRLF * 2)
    return head, rest
