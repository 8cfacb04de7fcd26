"""The live socket, through the whole server stack and a real channel layer: what a page asks and what it is told.

This file is long because it is one thing: one socket, from the sign-in to the last frame.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.exceptions import StopConsumer
from channels.layers import channel_layers
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from structlog.testing import capture_logs
from uvicorn.protocols.utils import ClientDisconnected

from batches_app.domain.states import FAILED, IN_PROGRESS, QUEUED, SUCCEEDED, BatchStatus
from batches_app.models import Batch, BatchCounts, PackageCounts, Task
from batches_app.selectors import live
from ota_console.accounts.models import User
from ota_console.asgi import application
from ota_console.core.clock import now
from ota_console.demo.processes import free_port
from ota_console.demo.redis_server import redis_program
from ota_console.live import consumers
from ota_console.outbox import events
from ota_console.outbox.sinks.live import LiveSink
from ota_console.settings import channel_layer
from tests import servers
from tests.factories import make_batch, make_device, make_package, make_product, make_task, make_user

pytestmark = pytest.mark.django_db(transaction=True)

FRAME_SECONDS = 5.0
"""Long enough for a busy machine; a test that passes never waits for it."""
QUERIES_PER_READING = 5
"""A batch with its counters; for its rows: the batch's key, the rows' keys, rows, versions."""
QUIET_SECONDS = 0.6
"""More than two intervals: what has not come by then does not come."""


@pytest.fixture(autouse=True)
def layer(valkey_server: servers.Server, settings: Any) -> Iterator[None]:
    """Groups in a real Redis-protocol server."""
    settings.CHANNEL_LAYERS = {"default": channel_layer(valkey_server.url)}
    channel_layers.backends = {}
    yield
    channel_layers.backends = {}


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.fixture
def batch() -> Batch:
    return make_batch(make_package(make_product()))


_communicator: Any = ApplicationCommunicator
"""asgiref ships no types for it."""


class Page:
    """A browser's page with a live socket."""

    def __init__(self, cookie: str, language: str = "en") -> None:
        headers = [(b"origin", b"http://127.0.0.1:8000"), (b"host", b"127.0.0.1:8000")]
        headers += [(b"cookie", f"sessionid={cookie}".encode()), (b"accept-language", language.encode())]
        self.scope: Any = {
            "type": "websocket",
            "path": "/ws/live/",
            "query_string": b"",
            "headers": headers,
            "subprotocols": [],
        }
        self._socket: Any = _communicator(application, self.scope)

    async def open(self) -> None:
        await self._socket.send_input({"type": "websocket.connect"})
        assert (await self.output())["type"] == "websocket.accept"

    async def close(self) -> None:
        await self._socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._socket.wait(timeout=FRAME_SECONDS)

    async def say(self, text: str) -> None:
        await self._socket.send_input({"type": "websocket.receive", "text": text})

    async def ask(self, watch: Any) -> None:
        await self.say(orjson.dumps({"watch": watch}).decode())

    async def output(self) -> dict[str, Any]:
        received: dict[str, Any] = await self._socket.receive_output(timeout=FRAME_SECONDS)
        return received

    async def frame(self) -> dict[str, Any]:
        received: dict[str, Any] = orjson.loads((await self.output())["text"])
        return received

    async def is_quiet(self) -> bool:
        return bool(await self._socket.receive_nothing(timeout=QUIET_SECONDS))


def cookie_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


def played(user: User, story: Callable[[Page], Awaitable[None]], language: str = "en") -> None:
    """Open a page of this person, play the story, close the page."""
    cookie = cookie_of(user)

    async def play() -> None:
        page = Page(cookie, language)
        await page.open()
        try:
            await story(page)
        finally:
            await page.close()

    async_to_sync(play)()


async def happens(change: Callable[[], object], *told: events.Event) -> None:
    """A transaction changes facts, and the relay tells of it."""
    await sync_to_async(change)()
    await sync_to_async(LiveSink().send)(told)


def moved(batch: Batch, task: Task | None = None) -> events.Event:
    name = task.public_id if task else "t"
    return events.tasks_changed(batch=batch.public_id, rows=[(name, "d", 3, 2, 1)])


def advance(task: Task, status: int, **values: Any) -> None:
    """What a transition writes: the task, and the counters with a new revision."""
    Task.objects.filter(pk=task.pk).update(status=status, **values)
    for counts in (BatchCounts.objects.get(pk=task.batch_id), PackageCounts.objects.get(pk=task.batch.package_id)):
        counts.queued -= 1
        counts.in_progress += 1
        counts.revision += 1
        counts.save()


def test_nobody_who_is_not_signed_in_is_told_anything() -> None:
    """The socket is closed with a code of its own, so that the page can send the person to the sign-in page."""

    async def play() -> None:
        page = Page("no-session")
        await page.open()
        closed = await page.output()
        assert (closed["type"], closed["code"]) == ("websocket.close", 4401)

    async_to_sync(play)()


def test_a_watch_is_answered_by_the_whole_present(user: User, batch: Batch) -> None:
    """One frame with status, counts of one revision, launch, cancel, and the rows that stand on the page."""
    device = make_device(batch.product)
    task = make_task(batch, device, IN_PROGRESS, progress=40, attempt=0)
    make_task(batch, make_device(batch.product, is_online=False), QUEUED)

    async def story(page: Page) -> None:
        await page.ask({"batch": batch.public_id, "tasks": [task.public_id], "revision": 0})
        frame = await page.frame()
        assert {name: frame[name] for name in ("type", "batch", "status", "status_label", "paused", "more")} == {
            "type": "batch",
            "batch": batch.public_id,
            "status": "IN_PROGRESS",
            "status_label": "Upgrading",
            "paused": False,
            "more": False,
        }
        counts = {name: count for name, count in frame["counts"].items() if count}
        assert counts == {"all": 2, "IN_PROGRESS": 1, "QUEUED": 1, "QUEUED_OFFLINE": 1}
        assert frame["launch"] == {"state": "done", "written": 0, "total": 0}
        assert frame["cancel"] == {"requested": False, "done": 0, "total": 0}
        [row] = frame["tasks"]
        assert (row["id"], row["status"], row["label"], row["progress"]) == (
            task.public_id,
            "IN_PROGRESS",
            "Upgrading",
            40,
        )

    played(user, story)


def test_a_change_is_told_with_the_rows_that_differ(user: User, batch: Batch) -> None:
    """Two rows stand on the page, one moves: one row comes, with counts of the new revision."""
    tasks = [make_task(batch, make_device(batch.product), QUEUED) for _ in range(2)]

    async def story(page: Page) -> None:
        await page.ask({"batch": batch.public_id, "tasks": [task.public_id for task in tasks]})
        before = await page.frame()
        await happens(lambda: advance(tasks[0], IN_PROGRESS, progress=10, due_at=None), moved(batch))
        after = await page.frame()
        assert after["revision"] == before["revision"] + 1
        assert (after["counts"]["QUEUED"], after["counts"]["IN_PROGRESS"]) == (1, 1)
        assert [row["id"] for row in after["tasks"]] == [tasks[0].public_id]

    played(user, story)


def test_nothing_is_told_when_nothing_differs(user: User, batch: Batch) -> None:
    """An event that came twice, or that concerns a row that is not shown, costs the page nothing."""

    async def story(page: Page) -> None:
        await page.ask({"batch": batch.public_id})
        await page.frame()
        await happens(lambda: None, moved(batch), moved(batch))
        assert await page.is_quiet()

    played(user, story)


def test_what_follows_from_the_batch_itself_is_told(user: User, batch: Batch) -> None:
    """The rate at these counts, whether ended updates may start again, and that somebody changed the batch."""
    rate = {"rate_per_minute": 100, "rate_base_per_minute": 10, "rate_factor": 2, "rate_notified_step": 1}
    Batch.objects.filter(pk=batch.pk).update(rate_kind=Batch.RateKind.VARIABLE, **rate)

    def grow() -> None:
        BatchCounts.objects.filter(batch=batch).update(ever_notified=2)
        Batch.objects.filter(pk=batch.pk).update(status=BatchStatus.CANCELED, updated_at=now())

    async def story(page: Page) -> None:
        await page.ask({"batch": batch.public_id})
        before = await page.frame()
        assert (before["rate_now"], before["reupgradable"]) == (10, True)
        await happens(grow, moved(batch))
        after = await page.frame()
        assert (after["rate_now"], after["reupgradable"]) == (40, False)
        assert after["updated_at"] > before["updated_at"]

    played(user, story)


def test_another_batch_is_not_told_of(user: User, batch: Batch) -> None:
    """A page of one batch is no broadcast."""
    other = make_batch(batch.package)
    task = make_task(other, make_device(other.product), QUEUED)

    async def story(page: Page) -> None:
        await page.ask({"batch": batch.public_id})
        await page.frame()
        await happens(lambda: advance(task, IN_PROGRESS, due_at=None), moved(other))
        assert await page.is_quiet()

    played(user, story)


def test_many_changes_become_few_frames_that_end_with_the_truth(user: User, batch: Batch) -> None:
    """At most four frames a second, whatever the number of pokes; the last one shows the last facts."""
    tasks = [make_task(batch, make_device(batch.product), QUEUED) for _ in range(30)]

    async def story(page: Page) -> None:
        await page.ask({"batch": batch.public_id})
        frames = [await page.frame()]
        loop = asyncio.get_running_loop()
        started = loop.time()
        for task in tasks:
            await happens(lambda task=task: advance(task, IN_PROGRESS, due_at=None), moved(batch))  # type: ignore[misc]
        while frames[-1]["counts"]["IN_PROGRESS"] < len(tasks):
            frames.append(await page.frame())
        assert len(frames) <= 2 + 4 * (loop.time() - started)

    played(user, story)


def test_a_new_watch_replaces_the_old_one(user: User, batch: Batch) -> None:
    """Rows that were loaded later are told in full; the batch that was left is silent."""
    other = make_batch(batch.package)
    task = make_task(batch, make_device(batch.product), QUEUED)

    async def story(page: Page) -> None:
        await page.ask({"batch": batch.public_id})
        assert (await page.frame())["batch"] == batch.public_id
        await page.ask({"batch": other.public_id})
        assert (await page.frame())["batch"] == other.public_id
        await happens(lambda: advance(task, IN_PROGRESS, due_at=None), moved(batch))
        assert await page.is_quiet()
        await page.ask({"batch": batch.public_id, "tasks": [task.public_id]})
        assert len((await page.frame())["tasks"]) == 1

    played(user, story)


def test_a_frame_has_a_bounded_number_of_rows(user: User, batch: Batch) -> None:
    """A long page gets its present in several frames of the same revision."""
    tasks = [make_task(batch, make_device(batch.product), SUCCEEDED) for _ in range(201)]

    async def story(page: Page) -> None:
        await page.ask({"batch": batch.public_id, "tasks": [task.public_id for task in tasks]})
        first, second = await page.frame(), await page.frame()
        assert (len(first["tasks"]), len(second["tasks"])) == (200, 1)
        assert first["revision"] == second["revision"]

    played(user, story)


def test_a_package_is_told_with_its_batches(user: User, batch: Batch) -> None:
    """Its counters, and its batches without their rows; afterwards only the batch that changed."""
    make_batch(batch.package)
    task = make_task(batch, make_device(batch.product), QUEUED)
    package = batch.package.public_id

    async def story(page: Page) -> None:
        await page.ask({"package": package})
        frame = await page.frame()
        assert (frame["type"], frame["package"], frame["counts"]["QUEUED"]) == ("package", package, 1)
        assert len(frame["batches"]) == 2
        await happens(lambda: advance(task, IN_PROGRESS, due_at=None), moved(batch))
        frame = await page.frame()
        assert frame["counts"]["IN_PROGRESS"] == 1
        assert [(part["batch"], part["tasks"]) for part in frame["batches"]] == [(batch.public_id, [])]

    played(user, story)


def test_a_new_batch_appears_on_its_package(user: User, batch: Batch) -> None:
    """A launch is told to those who look at the package."""

    async def story(page: Page) -> None:
        await page.ask({"package": batch.package.public_id})
        await page.frame()
        created: list[Batch] = []
        told = events.batch_changed(batch="new", package=batch.package.public_id)
        await happens(lambda: created.append(make_batch(batch.package)), told)
        assert [part["batch"] for part in (await page.frame())["batches"]] == [created[0].public_id]

    played(user, story)


def test_lists_are_told_of_what_changes_on_them(user: User, batch: Batch) -> None:
    """The list of packages gets package frames, the list of batches batch frames."""
    task = make_task(batch, make_device(batch.product), QUEUED)

    async def story(page: Page) -> None:
        await page.ask({"packages": True})
        assert (await page.frame())["package"] == batch.package.public_id
        await happens(lambda: advance(task, IN_PROGRESS, due_at=None), moved(batch))
        assert (await page.frame())["counts"]["IN_PROGRESS"] == 1
        await page.ask({"batches": True})
        assert (await page.frame())["batch"] == batch.public_id

    played(user, story)


def test_labels_speak_the_viewers_language(user: User, batch: Batch) -> None:
    """Two viewers of one batch read it in their own words."""
    user.language = "zh-hans"
    user.save(update_fields=["language"])

    async def story(page: Page) -> None:
        await page.ask({"batch": batch.public_id})
        frame = await page.frame()
        assert frame["status"] == "IN_PROGRESS"
        assert frame["status_label"]

    played(user, story)


def test_a_batch_that_does_not_exist_is_said_so(user: User) -> None:
    """The page may have been open when its batch was removed."""

    async def story(page: Page) -> None:
        await page.ask({"batch": "0" * 26})
        assert (await page.frame())["code"] == "batch_unknown"

    played(user, story)


@pytest.mark.parametrize("wish", [None, {"batch": "a b"}, {"package": 5}])
def test_nonsense_is_refused_and_the_socket_lives_on(user: User, batch: Batch, wish: Any) -> None:
    """A page of an older release must not lose its connection."""

    async def story(page: Page) -> None:
        await page.ask(wish)
        assert (await page.frame())["code"] == "bad_watch"
        await page.ask({"batch": batch.public_id})
        assert (await page.frame())["type"] == "batch"

    played(user, story)


def test_an_oversized_message_closes_the_socket(user: User) -> None:
    """What a browser may make us read has a bound."""

    async def story(page: Page) -> None:
        await page.say("x" * 50_000)
        assert (await page.output())["type"] == "websocket.close"

    played(user, story)


def test_viewers_of_one_batch_share_its_queries(user: User, batch: Batch) -> None:
    """Twenty pages, one poke: about as many queries as for one page."""
    task = make_task(batch, make_device(batch.product), FAILED, reason=-2)
    cookie = cookie_of(user)
    counts: list[int] = []

    async def play() -> None:
        pages = [Page(cookie) for _ in range(20)]
        for page in pages:
            await page.open()
            await page.ask({"batch": batch.public_id, "tasks": [task.public_id]})
        for page in pages:
            await page.frame()
        counts.append(len(queries))
        await happens(lambda: Batch.objects.filter(pk=batch.pk).update(paused_at=batch.created_at), moved(batch))
        frames = await asyncio.gather(*(page.frame() for page in pages))
        counts.append(len(queries))
        assert all(frame["paused"] for frame in frames)
        for page in pages:
            await page.close()

    with CaptureQueriesContext(connection) as queries:
        async_to_sync(play)()
    assert counts[1] - counts[0] <= 3 * QUERIES_PER_READING


def test_pages_outlive_a_restart_of_redis(user: User, batch: Batch, tmp_path: Path, settings: Any) -> None:
    """It forgets its groups; a page that was open before is told of changes afterwards."""
    task = make_task(batch, make_device(batch.product), QUEUED)
    port = free_port()
    program = redis_program(folder=tmp_path, port=port, password="")
    settings.CHANNEL_LAYERS = {"default": channel_layer(f"redis://127.0.0.1:{port}/0")}
    channel_layers.backends = {}

    async def story(page: Page) -> None:
        await page.ask({"batch": batch.public_id})
        await page.frame()
        await sync_to_async(first.stop)()
        await sync_to_async(again.enter_context)(servers.running(program))
        await sync_to_async(advance)(task, IN_PROGRESS, due_at=None)
        while await page.is_quiet():
            await happens(lambda: None, moved(batch))
        assert (await page.frame())["counts"]["IN_PROGRESS"] == 1

    with servers.running(program) as first, contextlib.ExitStack() as again:
        played(user, story)


def test_a_change_of_very_many_batches_is_told_as_one_reading(user: User, batch: Batch) -> None:
    """The message has a bound; the page reads again what it shows."""
    task = make_task(batch, make_device(batch.product), QUEUED)
    many = [events.tasks_range(batch=f"b{number}", status=1, count=1) for number in range(250)]

    async def story(page: Page) -> None:
        await page.ask({"batches": True})
        await page.frame()
        await happens(lambda: advance(task, IN_PROGRESS, due_at=None), *many)
        assert (await page.frame())["counts"]["IN_PROGRESS"] == 1

    played(user, story)


def test_what_nobody_told_is_seen_at_the_next_refresh(
    user: User, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poke that was lost heals."""
    monkeypatch.setattr(consumers, "REFRESH_SECONDS", 0.3)
    task = make_task(batch, make_device(batch.product), QUEUED)

    async def story(page: Page) -> None:
        await page.ask({"batch": batch.public_id})
        await page.frame()
        await sync_to_async(advance)(task, IN_PROGRESS, due_at=None)
        assert (await page.frame())["counts"]["IN_PROGRESS"] == 1

    played(user, story)


def test_a_person_who_signed_out_is_told_nothing_more(
    user: User, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session is asked again while the socket lives."""
    monkeypatch.setattr(consumers, "REFRESH_SECONDS", 0.3)

    async def story(page: Page) -> None:
        await page.ask({"batch": batch.public_id})
        await page.frame()
        await sync_to_async(Session.objects.all().delete)()
        assert (await page.output())["code"] == 4401

    played(user, story)


def test_a_person_who_leaves_makes_no_noise(user: User, batch: Batch) -> None:
    """An ASGI server answers a send to a closed socket by an OSError; only other errors are logged."""
    cookie = cookie_of(user)

    async def play() -> None:
        inputs: asyncio.Queue[Any] = asyncio.Queue()
        tried = asyncio.Event()

        async def send(message: Any) -> None:
            if message["type"] == "websocket.send":
                tried.set()
                raise ClientDisconnected

        for message in ({"type": "websocket.connect"}, watching(batch)):
            inputs.put_nowait(message)
        served = asyncio.ensure_future(application(Page(cookie).scope, inputs.get, send))
        await asyncio.wait_for(tried.wait(), FRAME_SECONDS)
        inputs.put_nowait({"type": "websocket.disconnect", "code": 1006})
        with contextlib.suppress(StopConsumer):
            await asyncio.wait_for(served, FRAME_SECONDS)

    with capture_logs() as logs:
        async_to_sync(play)()
    assert [line for line in logs if line["event"] == "live.failed"] == []


def watching(batch: Batch) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": orjson.dumps({"watch": {"batch": batch.public_id}}).decode()}


def test_a_reading_that_fails_closes_the_socket(user: User, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page connects again and gets the present then; nobody waits for ever."""

    async def story(page: Page) -> None:
        await page.ask({"batch": batch.public_id})
        await page.frame()
        monkeypatch.setattr(live, "live_batches", fail)
        await happens(lambda: None, moved(batch))
        assert (await page.output())["code"] == 1011

    def fail(*_: object) -> None:
        raise OperationalError("the database is away")

    played(user, story)
