"""What each kind of watch gets: which changes concern it, and the frames that the page does not have yet.

A page object lives as long as its watch, so that its first frames are the whole present and the later ones only what
differs. Must not know sockets.
"""

from collections.abc import Collection, Iterable
from typing import Final, Protocol

from ota_console.live.frames import Frame, in_parts
from ota_console.live.reader import Locale, Reader
from ota_console.live.watches import Subject, Watch
from ota_console.outbox.sinks.live import OVERVIEW, Poke, batch_group

EVERYTHING: Final = ""
"""The key for "read all that the page shows again"."""
_PACKAGE: Final = "package "
"""Marks keys that are packages among keys that are batches."""


class Page(Protocol):
    """One watch of one viewer."""

    group: str
    """The channel layer's group that tells of its changes."""

    def touched(self, poke: Poke) -> Iterable[str]:
        """Which keys a poke makes stale."""

    async def frames(self, keys: Collection[str]) -> list[Frame]:
        """What is new on the page after these keys became stale."""


class _News:
    """Remembers what a page was told, so that nothing is told twice."""

    def __init__(self) -> None:
        self._told: dict[str, Frame] = {}

    def is_new(self, key: str, frame: Frame) -> bool:
        """True once for each different content; the time of reading is no content."""
        content = {name: value for name, value in frame.items() if name != "at" or "id" in frame}
        if self._told.get(key) == content:
            return False
        self._told[key] = content
        return True


class BatchPage:
    """A batch and the rows that stand on its page."""

    def __init__(self, watch: Watch, reader: Reader, locale: Locale) -> None:
        self.group = batch_group(watch.id)
        self._watch = watch
        self._reader = reader
        self._locale = locale
        self._news = _News()

    def touched(self, poke: Poke) -> Iterable[str]:
        return [EVERYTHING]

    async def frames(self, keys: Collection[str]) -> list[Frame]:
        view = await self._reader.batch(self._watch.id, self._watch.tasks, self._locale)
        if view.frame is None:
            return [{"type": "error", "code": "batch_unknown", "batch": self._watch.id}]
        is_changed = self._news.is_new(self._watch.id, view.frame)
        rows = [row for task, row in view.rows.items() if self._news.is_new(task, row)]
        return in_parts(view.frame, rows) if is_changed or rows else []


class PackagePage:
    """A package and its newest batches."""

    group = OVERVIEW

    def __init__(self, watch: Watch, reader: Reader, locale: Locale) -> None:
        self._id = watch.id
        self._reader = reader
        self._locale = locale
        self._batches: frozenset[str] = frozenset()
        self._news = _News()

    def touched(self, poke: Poke) -> Iterable[str]:
        if poke["many"] or self._id in poke["packages"]:
            return [EVERYTHING]
        return self._batches.intersection(poke["batches"])

    async def frames(self, keys: Collection[str]) -> list[Frame]:
        if EVERYTHING in keys:
            keys = self._batches = frozenset(await self._reader.changing_batches(self._id))
        frame = await self._reader.package(self._id, keys, self._locale)
        if frame is None:
            return []
        news = [part for part in frame["batches"] if self._news.is_new(part["batch"], part)]
        is_changed = self._news.is_new(self._id, {**frame, "batches": []})
        return [{**frame, "batches": news}] if is_changed or news else []


class PackagesPage:
    """The list of packages."""

    group = OVERVIEW

    def __init__(self, _watch: Watch, reader: Reader, _locale: Locale) -> None:
        self._reader = reader
        self._news = _News()

    def touched(self, poke: Poke) -> Iterable[str]:
        return [EVERYTHING] if poke["many"] else [*poke["batches"], *(_PACKAGE + name for name in poke["packages"])]

    async def frames(self, keys: Collection[str]) -> list[Frame]:
        named = {key.removeprefix(_PACKAGE) for key in keys if key.startswith(_PACKAGE)}
        batches = [key for key in keys if key and not key.startswith(_PACKAGE)]
        if EVERYTHING in keys:
            batches = await self._reader.changing_batches()
        named |= await self._reader.packages_of_batches(batches)
        found = await self._reader.packages(named)
        return [frame for frame in found if self._news.is_new(frame["package"], frame)]


class BatchesPage:
    """The list of all batches."""

    group = OVERVIEW

    def __init__(self, _watch: Watch, reader: Reader, locale: Locale) -> None:
        self._reader = reader
        self._locale = locale
        self._news = _News()

    def touched(self, poke: Poke) -> Iterable[str]:
        return [EVERYTHING] if poke["many"] else poke["batches"]

    async def frames(self, keys: Collection[str]) -> list[Frame]:
        wanted = await self._reader.changing_batches() if EVERYTHING in keys else keys
        found = await self._reader.batches(wanted, self._locale)
        return [frame for frame in found if self._news.is_new(frame["batch"], frame)]


def page_of(watch: Watch, reader: Reader, locale: Locale) -> Page:
    """The page that a watch asks for."""
    kinds: dict[Subject, type[BatchPage | PackagePage | PackagesPage | BatchesPage]] = {
        Subject.BATCH: BatchPage,
        Subject.PACKAGE: PackagePage,
        Subject.PACKAGES: PackagesPage,
        Subject.BATCHES: BatchesPage,
    }
    return kinds[watch.subject](watch, reader, locale)
