"""The live socket of a page: it says what it shows, and gets frames whenever that changes.

Changes arrive as pokes that say what, not how; frames are read at the moment of sending, at most four times a second,
and a slow client gets the newest instead of all. Must not decide or change anything.
"""

import asyncio
import contextlib
from typing import Any, Final

import orjson
import structlog
from channels.generic.websocket import AsyncWebsocketConsumer

from ota_console.core.clock import monotonic
from ota_console.core.errors import Invalid
from ota_console.live.coalesce import Coalescer
from ota_console.live.pages import EVERYTHING, Page, page_of
from ota_console.live.reader import reader
from ota_console.live.viewers import is_signed_in, locale_of
from ota_console.live.watches import MOST_CHARACTERS, parse_watch
from ota_console.outbox.sinks.live import Poke

NOT_SIGNED_IN: Final = 4401
BAD_MESSAGE: Final = 4400
FAILED: Final = 1011
REFRESH_SECONDS: Final = 30.0
"""What is shown is read again this often, changed or not: a lost poke heals, the end of a session is seen."""

log = structlog.get_logger(__name__)


class _GoneError(Exception):
    """The person left the page: nobody is there to be told."""


class LiveConsumer(AsyncWebsocketConsumer):
    """One socket. Its own task takes messages; `_pump` reads and sends, so that a slow client holds up only itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._page: Page | None = None
        self._group = ""
        self._changed: Coalescer[str, None] = Coalescer()
        self._wake = asyncio.Event()
        self._pumping: asyncio.Task[None] | None = None

    # --- the socket ---------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        await self.accept()
        if await is_signed_in(self.scope):
            self._pumping = asyncio.create_task(self._pump())
        else:
            await self.close(NOT_SIGNED_IN)

    async def disconnect(self, code: int) -> None:
        if self._pumping is not None:
            self._pumping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pumping
        await self._join("")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._pumping is None:
            return
        if text_data is None or len(text_data) > MOST_CHARACTERS:
            await self.close(BAD_MESSAGE)
            return
        try:
            watch = parse_watch(orjson.loads(text_data))
        except (Invalid, orjson.JSONDecodeError) as error:
            with contextlib.suppress(_GoneError):
                await self._send({"type": "error", "code": "bad_watch", "message": str(error)})
            return
        page = page_of(watch, reader(), locale_of(self.scope))
        await self._join(page.group)  # first join, then read: what changes in between is told twice rather than never
        self._page = page
        self._changed.clear()
        self._touch([EVERYTHING])

    async def _join(self, group: str) -> None:
        if group == self._group:
            return
        if self._group:
            await self.channel_layer.group_discard(self._group, self.channel_name)
        if group:
            await self.channel_layer.group_add(group, self.channel_name)
        self._group = group

    async def _send(self, frame: dict[str, Any]) -> None:
        """Raises `_GoneError`: an ASGI server answers a send to a socket that is gone by an OSError."""
        try:
            await self.send(text_data=orjson.dumps(frame).decode())
        except OSError as error:
            raise _GoneError from error

    async def _hang_up(self, code: int) -> None:
        with contextlib.suppress(OSError):
            await self.close(code)

    # --- what changed -------------------------------------------------------------------------------------------------

    async def live_poke(self, message: Poke) -> None:
        """From the channel layer."""
        if self._page is not None:
            self._touch(self._page.touched(message))

    def _touch(self, keys: Any) -> None:
        for key in keys:
            self._changed.offer(key, None)
        self._wake.set()

    async def _pump(self) -> None:
        try:
            while True:
                await self._wait()
                keys = set(self._changed.take(monotonic()))
                if self._changed.has_overflowed:
                    self._changed.clear()
                    keys.add(EVERYTHING)
                page = self._page
                if page is not None and keys:
                    for frame in await page.frames(keys):
                        await self._send(frame)
        except _GoneError:
            return
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("live.failed")
            await self._hang_up(FAILED)

    async def _wait(self) -> None:
        """Until something is due, or for a refresh."""
        due = self._changed.next_at()
        until = monotonic() + REFRESH_SECONDS
        while due is None or due > monotonic():
            self._wake.clear()
            seconds = min(until, due or until) - monotonic()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(0.0, seconds))
            due = self._changed.next_at()
            if due is None and monotonic() >= until:
                await self._refresh()
                return

    async def _refresh(self) -> None:
        if await is_signed_in(self.scope):
            self._touch([EVERYTHING])
        else:
            await self._hang_up(NOT_SIGNED_IN)
