"""Large request bodies are read while they arrive, by whoever may send them, and by nobody else.

Django's ASGI handler stores a whole body on the disk before anything looks at it: anybody could fill the disk, and an
upload would be written twice. So a request whose body is not small goes to the WSGI application of the same Django, in
a thread: signing in is checked first, and the view reads from the connection itself (docs/decisions/0010). What is left
unread is answered at once and never stored. Must not know Django.
"""

import asyncio
import contextlib
import io
import sys
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

SMALL_BODY_BYTES: Final = 64 * 1024
"""All that is kept of a body before somebody asked who sends it."""
THREADS: Final = 16
"""Large bodies at once; further ones wait unread. Only people and programs that signed in occupy one for long."""
IDLE_SECONDS: Final = 60
"""A sender who says nothing for so long has gone."""
LOOK_SECONDS: Final = 1.0
"""How often a waiting thread looks whether the server ends."""
LINGER_SECONDS: Final = 5.0
"""After an early answer the rest is read and dropped for a while: closing at once would lose the answer on its way."""

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApplication = Callable[[Any, Any, Any], Awaitable[None]]
WsgiApplication = Callable[..., Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Of the WSGI application; pages and problems, so the content is held whole."""

    status: int
    headers: list[tuple[bytes, bytes]]
    content: bytes


class ArrivingBody(io.RawIOBase):
    """A body as a file, read by a thread from the connection that the event loop serves."""

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._receive = receive
        self._loop = loop
        self._rest = memoryview(b"")
        self.has_more = True
        """The sender has not said the last of it."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end. Raises OSError where the sender went away or fell silent."""
        while self.has_more and not self._rest:
            self._take(self._wait())
        taken = min(len(buffer), len(self._rest))
        buffer[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken

    def _wait(self) -> Message:
        arriving = asyncio.run_coroutine_threadsafe(_awaited(self._receive), self._loop)
        for _ in range(round(IDLE_SECONDS / LOOK_SECONDS)):
            with contextlib.suppress(TimeoutError):
                return arriving.result(LOOK_SECONDS)
            if not self._loop.is_running():
                break
        arriving.cancel()
        raise ConnectionAbortedError("nothing came any more")

    def _take(self, message: Message) -> None:
        self.has_more = message["type"] == "http.request" and message.get("more_body", False)
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the sender went away")
        self._rest = memoryview(message.get("body", b""))

    async def drop(self, seconds: float) -> None:
        """Read what still comes, and keep none of it."""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            async with asyncio.timeout(seconds):
                while self.has_more:
                    self._take(await self._receive())


class StreamedBodies:
    """An ASGI application that hands small requests to one of its kind, and large ones to a WSGI application."""

    def __init__(self, *, small: AsgiApplication, large: WsgiApplication) -> None:
        self._small = small
        self._large = large
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="large-body")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        length = headers.get(b"content-length")
        if scope["type"] == "http" and length is None and b"transfer-encoding" in headers:
            await self._of_unknown_length(scope, receive, send)
        elif scope["type"] == "http" and int(length or 0) > SMALL_BODY_BYTES:
            await self._stream(scope, ArrivingBody(receive, asyncio.get_running_loop()), send)
        else:
            await self._small(scope, receive, send)

    async def _of_unknown_length(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take it in while it is small, and say its length; a larger one goes on without a length, to be refused."""
        body, has_more = bytearray(), True
        while has_more and len(body) <= SMALL_BODY_BYTES:
            message = await receive()
            body += message.get("body", b"")
            has_more = message.get("more_body", False)
        if len(body) > SMALL_BODY_BYTES:
            await self._stream(scope, ArrivingBody(receive, asyncio.get_running_loop()), send)
            return
        whole = [{"type": "http.request", "body": bytes(body), "more_body": False}]
        scope = {**scope, "headers": [*scope["headers"], (b"content-length", str(len(body)).encode())]}

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._small(scope, replay, send)

    async def _stream(self, scope: Scope, body: ArrivingBody, send: Send) -> None:
        environ = wsgi_environ(scope, body)
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, environ)
        is_early = body.has_more
        headers = [*answer.headers, (b"connection", b"close")] if is_early else answer.headers
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.content, "more_body": is_early})
        if is_early:
            await body.drop(LINGER_SECONDS)
            await send({"type": "http.response.body"})

    def _ask(self, environ: dict[str, Any]) -> Answer:
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], failure: object = None) -> None:
            begun.append((status, headers))

        result = self._large(environ, start_response)
        try:
            content = b"".join(result)
        finally:
            if hasattr(result, "close"):
                result.close()
        status, headers = begun[-1]
        encoded = [(name.encode("latin-1"), value.strip().encode("latin-1")) for name, value in headers]
        return Answer(int(status.split(" ", 1)[0]), encoded, content)


def wsgi_environ(scope: Scope, body: io.RawIOBase) -> dict[str, Any]:
    """What PEP 3333 asks for. A header with an underscore would pass for one with a hyphen, so it is left out."""
    host, port = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BufferedReader(body, SMALL_BODY_BYTES),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" not in name:
            key = name.decode("latin-1").upper().replace("-", "_")
            key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
            text = value.decode("latin-1")
            joint = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = f"{environ[key]}{joint}{text}" if key in environ else text
    return environ


async def _awaited(receive: Receive) -> Message:
    return await receive()
