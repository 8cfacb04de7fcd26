"""Reads for the viewers of this process together: however many watch a batch, one query answers all that ask at once.

Requests that come within a few milliseconds are joined; each viewer gets the rows that he asked for, in his language
and time zone. Must not know sockets.
"""

import asyncio
import zoneinfo
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.utils import timezone, translation

from batches_app.selectors import live
from ota_console.core import clock
from ota_console.live.frames import Frame, batch_frame, package_frame, task_part

JOIN_SECONDS: Final = 0.005
"""How long the first request waits for others."""
ROWS_PER_QUERY: Final = 500


class Locale(NamedTuple):
    """The words and times of one viewer."""

    language: str
    zone: str


class BatchView(NamedTuple):
    """A batch's frame (without tasks) and the wanted rows by task; None: there is no such batch."""

    frame: Frame | None
    rows: dict[str, Frame]


@dataclass(slots=True)
class _Asked:
    tasks: set[str] = field(default_factory=set)
    answers: list[asyncio.Future[BatchView]] = field(default_factory=list)


_Key = tuple[str, Locale]


class Reader:
    """Belongs to one event loop."""

    def __init__(self, *, now: Callable[[], datetime] = clock.now) -> None:
        self._now = now
        self._asked: dict[_Key, _Asked] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def batch(self, public_id: str, tasks: Collection[str], locale: Locale) -> BatchView:
        """One batch and some of its rows, as they are after this call began."""
        if not self._asked:
            asyncio.get_running_loop().call_later(JOIN_SECONDS, self._start)
        asked = self._asked.setdefault((public_id, locale), _Asked())
        asked.tasks.update(tasks)
        answer: asyncio.Future[BatchView] = asyncio.get_running_loop().create_future()
        asked.answers.append(answer)
        view = await answer
        return BatchView(view.frame, {task: view.rows[task] for task in tasks if task in view.rows})

    def _start(self) -> None:
        asked, self._asked = self._asked, {}
        task = asyncio.get_running_loop().create_task(self._answer(asked))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, asked: dict[_Key, _Asked]) -> None:
        wanted = {key: sorted(one.tasks) for key, one in asked.items()}
        try:
            views = await database_sync_to_async(_read_batches)(wanted, self._now())
        except Exception as error:  # noqa: BLE001 - it is the viewers' to handle: none may wait for ever
            for answer in (answer for one in asked.values() for answer in one.answers if not answer.done()):
                answer.set_exception(error)
            return
        for key, one in asked.items():
            for answer in one.answers:
                if not answer.done():
                    answer.set_result(views[key])

    async def batches(self, public_ids: Collection[str], locale: Locale) -> list[Frame]:
        """Frames without tasks of the named batches that exist, newest first."""
        return await database_sync_to_async(_read_list)(public_ids, locale, self._now())

    async def package(self, public_id: str, batches: Collection[str], locale: Locale) -> Frame | None:
        """A package with frames of the named batches; None: it has had no batch."""
        frames = await self.batches(batches, locale) if batches else []
        found = await database_sync_to_async(_read_packages)([public_id], self._now())
        return {**found[0], "batches": frames} if found else None

    async def packages(self, public_ids: Collection[str]) -> list[Frame]:
        """Frames of the named packages that have had a batch, without batches."""
        return await database_sync_to_async(_read_packages)(public_ids, self._now())

    async def changing_batches(self, package: str = "") -> list[str]:
        """What a watch of several starts with."""
        return await database_sync_to_async(live.changing_batches)(package=package)

    async def packages_of_batches(self, public_ids: Collection[str]) -> set[str]:
        """The packages to which the named batches belong."""
        found = await database_sync_to_async(live.packages_of_batches)(public_ids)
        return set(found.values())


_readers: WeakKeyDictionary[asyncio.AbstractEventLoop, Reader] = WeakKeyDictionary()


def reader() -> Reader:
    """The reader of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _readers:
        _readers[loop] = Reader()
    return _readers[loop]


def _read_batches(wanted: dict[_Key, list[str]], now: datetime) -> dict[_Key, BatchView]:
    found = {facts.batch.public_id: facts for facts in live.live_batches({key[0] for key in wanted}, now)}
    views: dict[_Key, BatchView] = {}
    for (public_id, locale), tasks in wanted.items():
        facts = found.get(public_id)
        if facts is None:
            views[public_id, locale] = BatchView(None, {})
            continue
        with translation.override(locale.language), timezone.override(zoneinfo.ZoneInfo(locale.zone)):
            views[public_id, locale] = BatchView(batch_frame(facts, at=now), _read_rows(public_id, tasks, now))
    return views


def _read_rows(batch: str, tasks: list[str], now: datetime) -> dict[str, Frame]:
    parts: Iterable[list[str]] = (tasks[i : i + ROWS_PER_QUERY] for i in range(0, len(tasks), ROWS_PER_QUERY))
    return {row.public_id: task_part(row) for part in parts for row in live.live_rows(batch=batch, tasks=part, now=now)}


def _read_list(public_ids: Collection[str], locale: Locale, now: datetime) -> list[Frame]:
    with translation.override(locale.language), timezone.override(zoneinfo.ZoneInfo(locale.zone)):
        return [batch_frame(facts, at=now) for facts in live.live_batches(public_ids, now)]


def _read_packages(public_ids: Collection[str], now: datetime) -> list[Frame]:
    return [package_frame(package, at=now) for package in live.live_packages(public_ids)]
