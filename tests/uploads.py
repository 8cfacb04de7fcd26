"""The console's server as it is shipped, on the tests' database, and a client that sends bodies piece by piece."""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ota_console.demo.processes import Child, Program, free_port
from ota_console.demo.stack_parts import serves
from tests.downloads import Raw, connected, database_url, receive
from tests.servers import running

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class WebProcess:
    """A running server, where it listens, and the folders that it may write to."""

    port: int
    child: Child
    media: Path
    temporary: Path

    def stored(self) -> list[Path]:
        """Every file that it holds now, by whatever name."""
        return [file for folder in (self.media, self.temporary) for file in folder.rglob("*") if file.is_file()]


@contextlib.contextmanager
def running_web(folder: Path) -> Iterator[WebProcess]:
    """Uvicorn as the demo and the units of deploy/ start it."""
    port = free_port()
    place = folder / "media", folder / "temporary"
    for made in place:
        made.mkdir()
    server = ("--http", "h11", "--ws", "websockets-sansio", "--lifespan", "off", "--log-level", "warning")
    program = Program(
        name="web",
        command=[sys.executable, "-m", "uvicorn", *server, "--port", str(port), "ota_console.asgi:application"],
        environment={
            **os.environ,
            "DATABASE_URL": database_url(),
            "MEDIA_ROOT": str(place[0]),
            "TMPDIR": str(place[1]),
        },
        is_ready=partial(serves, port, "/healthz"),
    )
    with running(program) as child:
        yield WebProcess(port, child, *place)


def head(path: str, *headers: str) -> bytes:
    """Of a POST whose body follows as it likes."""
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def begin(port: int, path: str, *headers: str, first: bytes) -> Raw:
    """Send the head and the first bytes of a body, then nothing more, and take the answer that comes all the same."""
    with connected(port) as client:
        client.sendall(head(path, *headers) + first)
        return receive(client)


def multipart(fields: dict[str, str], size: int) -> tuple[bytes, bytes]:
    """Everything before and after the bytes of one file of a form with the boundary `x`."""
    parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()]
    parts.append('--x\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n')
    return "".join(parts).encode(), b"\r\n--x--\r\n"


def send_pieces(client: socket.socket, piece: bytes, how_often: int) -> None:
    for _ in range(how_often):
        client.sendall(piece)
