"""A simulated device says what a real one says, in the order of the vendor's rules."""

import hashlib
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar, cast

import orjson
import pytest

from devices_app.protocol import topics
from devices_app.protocol.blocks import block_reply
from devices_app.protocol.parsing import parse
from devices_app.protocol.payloads import (
    FileDownload,
    Notice,
    NoticeFile,
    ProgressReport,
    VersionReport,
    empty_get_reply,
    get_reply,
    push,
)
from devices_app.simulator.behaviour import ALL_SUCCEED, Behaviour, Kind, behaviour, wrong_version
from devices_app.simulator.device import DownloadError, Identity, Link, LinkLost, SimulatedDevice
from devices_app.simulator.updates import read_notice

T = TypeVar("T")
PK, DN = "a1B2c3D4e5F", "meter-1"
FIRMWARE = bytes(range(256)) * 100
SHA = hashlib.sha256(FIRMWARE).hexdigest()
MD5 = hashlib.md5(FIRMWARE, usedforsecurity=False).hexdigest()
FILE = NoticeFile("a.bin", len(FIRMWARE), "http://h/a", MD5, SHA)
NOTICE = Notice("2.0", "SHA256", (FILE,))


class Finished(Exception):
    """The test has seen enough."""


@dataclass
class FakeLink:
    """Plays one connection: hands out what is scripted, then loses the connection or ends the test."""

    said: list[object]
    script: list[tuple[str, bytes]]
    is_last: bool = True
    blocks: list[bytes | None] = field(default_factory=list)

    async def publish(self, topic: str, payload: bytes, qos: int) -> None:
        message = parse(topic, payload)
        self.said.append(message)
        if isinstance(message, FileDownload):
            data = FIRMWARE[message.offset : message.offset + message.size]
            self.blocks.append(block_reply(message, len(FIRMWARE), data))

    async def receive(self) -> tuple[str, bytes]:
        if self.script:
            return self.script.pop(0)
        if self.is_last:
            raise Finished
        raise LinkLost

    async def receive_soon(self) -> tuple[str, bytes] | None:
        block = self.blocks.pop(0) if self.blocks else None
        topic = topics.file_download_reply(PK, DN) if block else "/some/other/topic"
        return None if block is None else (topic, block)


@dataclass
class FakeWorld:
    """Connections as scripted, a file server, and time that passes at once."""

    connections: list[list[tuple[str, bytes]]]
    content: bytes = FIRMWARE
    said: list[object] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    links: list[FakeLink] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self, identity: Identity) -> AsyncGenerator[Link]:
        script = self.connections.pop(0)
        link = FakeLink(self.said, script, is_last=not self.connections)
        self.links.append(link)
        self.said.append("connected")
        yield link

    async def fetch(self, url: str, start: int, end: int) -> AsyncGenerator[bytes]:
        if not url.startswith("http://h/"):
            raise DownloadError("HTTP 404")
        self.ranges.append((start, end))
        for offset in range(start, end, 1000):
            yield self.content[offset : min(end, offset + 1000)]

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


def finish(life: Coroutine[None, None, T]) -> T:
    """Run a coroutine whose world never makes it wait; unit tests have no event loop, since that needs sockets."""
    try:
        life.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    raise AssertionError("the device waits for something that is not scripted")


def character(kind: Kind) -> Behaviour:
    return behaviour(7, DN, {kind: 100} if kind is not Kind.SUCCEEDS else ALL_SUCCEED)


def live(world: FakeWorld, kind: Kind = Kind.SUCCEEDS, identity: Identity | None = None) -> list[object]:
    """All that the device says until the script ends: steps, versions and connects."""
    device = SimulatedDevice(identity or Identity(PK, DN, "secret"), character(kind), world)
    with pytest.raises(Finished):
        finish(device.live())
    return [short(message) for message in world.said]


def short(message: object) -> object:
    match message:
        case ProgressReport():
            return message.step
        case VersionReport():
            return message.version
        case FileDownload():
            return "block"
        case _:
            return message


def pushed(notice: Notice = NOTICE) -> tuple[str, bytes]:
    return topics.upgrade(PK, DN), push(notice, 1)


def test_an_update_is_downloaded_reported_and_confirmed_after_the_reboot() -> None:
    """Progress first, then, on the next connection, the new version."""
    world = FakeWorld([[pushed()], []])
    assert live(world) == ["connected", "1.0.0", 0, 25, 50, 75, 100, "connected", "2.0"]
    assert world.ranges == [(0, 6400), (6400, 12800), (12800, 19200), (19200, 25600)]


def test_the_answer_to_a_pull_starts_an_update_as_well() -> None:
    """Empty data does not, nor does a message on any other topic, nor rubbish."""
    topic = topics.firmware_get_reply(PK, DN)
    messages = [(topic, empty_get_reply(1)), ("/x", push(NOTICE, 1)), (topic, b"["), (topic, get_reply(NOTICE, 1))]
    assert live(FakeWorld([messages, []]))[:3] == ["connected", "1.0.0", 0]


@pytest.mark.parametrize("kind", [Kind.UPDATE_FAILS, Kind.DOWNLOAD_FAILS])
def test_an_update_that_breaks_off_is_reported_with_its_code(kind: Kind) -> None:
    """Half-way; the device stays on its version and takes the next push."""
    plan = character(kind)
    steps = [step for step in (0, 25, 50, 75) if step <= plan.fails_at]
    assert live(FakeWorld([[pushed(), pushed()]]), kind) == [
        "connected",
        "1.0.0",
        *[*steps, plan.failure_code] * 2,
    ]


@pytest.mark.parametrize("kind", [Kind.VERIFICATION_FAILS, Kind.FLASHING_FAILS])
def test_a_late_failure_comes_after_the_download(kind: Kind) -> None:
    """−3 and −4."""
    assert live(FakeWorld([[pushed()]]), kind) == ["connected", "1.0.0", 0, 25, 50, 75, character(kind).failure_code]


def test_a_wrong_version_is_reported_after_the_reboot() -> None:
    """It is neither the old nor the new one."""
    assert live(FakeWorld([[pushed()], []]), Kind.WRONG_VERSION)[-2:] == ["connected", wrong_version("2.0")]


def test_a_push_can_be_ignored() -> None:
    """Not a word."""
    assert live(FakeWorld([[pushed()]]), Kind.IGNORES) == ["connected", "1.0.0"]


def test_a_device_that_was_offline_goes_on_where_it_was() -> None:
    """It reports its old version and fetches only what is missing."""
    world = FakeWorld([[pushed()], [], []])
    said = live(world, Kind.OFFLINE)
    assert said == ["connected", "1.0.0", 0, 25, 50, "connected", "1.0.0", 75, 100, "connected", "2.0"]
    assert world.ranges == [(0, 6400), (6400, 12800), (12800, 19200), (19200, 25600)]
    assert character(Kind.OFFLINE).offline_seconds in world.pauses


def test_a_lost_connection_does_not_lose_the_device() -> None:
    """It connects again and reports."""
    assert live(FakeWorld([[], [], []])) == ["connected", "1.0.0"] * 3


def test_a_file_with_another_digest_is_refused() -> None:
    """With −3."""
    assert live(FakeWorld([[pushed()]], content=b"x" * len(FIRMWARE)))[-1] == -3


def test_a_file_that_cannot_be_fetched_is_reported() -> None:
    """With −2, as after a cancel: the link died with the task."""
    gone = Notice("2.0", "SHA256", (NoticeFile("a", 10, "gone", MD5, SHA),))
    assert live(FakeWorld([[pushed(gone)]])) == ["connected", "1.0.0", 0, -2]


def test_a_push_of_the_installed_version_is_answered_with_the_version() -> None:
    """A late push must not start a loop."""
    same = Identity(PK, DN, "secret", (("default", "2.0"),))
    assert live(FakeWorld([[pushed()]]), identity=same) == ["connected", "2.0", "2.0"]


def test_several_files_are_fetched_one_after_the_other() -> None:
    """Progress counts them together."""
    world = FakeWorld([[pushed(Notice("2.0", "MD5", (FILE, FILE)))], []])
    assert live(world) == ["connected", "1.0.0", 0, 25, 50, 75, 100, "connected", "2.0"]
    assert world.ranges == [(0, 12800), (12800, 25600), (0, 12800), (12800, 25600)]


def test_other_modules_are_named_in_every_report() -> None:
    """The default module is left out."""
    world = FakeWorld([[pushed(Notice("5", "MD5", (FILE,), module="MCU"))], []])
    identity = Identity(PK, DN, "secret", (("default", "1.0"), ("MCU", "4")))
    live(world, identity=identity)
    modules = [(m.module, short(m)) for m in world.said if isinstance(m, VersionReport | ProgressReport)]
    steps = [("MCU", step) for step in (0, 25, 50, 75, 100)]
    assert modules == [("default", "1.0"), ("MCU", "4"), *steps, ("default", "1.0"), ("MCU", "5")]


def test_blocks_over_mqtt_are_checked_and_asked_for_again() -> None:
    """A block that does not come, or is damaged, is not the end (vendor reference §4.7)."""
    world = FakeWorld([[pushed(Notice("2.0", "MD5", (FILE,), stream_id=5))], []])
    damaged = block_reply(FileDownload(PK, DN, 1, 5, 1, 0, 5120, "default"), len(FIRMWARE), FIRMWARE[:5120])[:-1] + b"x"

    async def with_bad_first_block() -> None:
        device = SimulatedDevice(Identity(PK, DN, "secret"), character(Kind.SUCCEEDS), world)
        async with world.connect(device.identity) as link:
            assert isinstance(link, FakeLink)
            link.blocks = [b"", damaged, None]
            assert await device.session(link) > 0

    finish(with_bad_first_block())
    said = [short(message) for message in world.said]
    assert said.count("block") == 9
    assert [word for word in said if word != "block"] == ["connected", "1.0.0", 0, 25, 50, 75, 100]


def test_blocks_that_never_come_end_with_a_failed_download() -> None:
    """After four tries."""
    world = FakeWorld([[pushed(Notice("2.0", "MD5", (FILE,), stream_id=5))]])

    async def deaf() -> None:
        device = SimulatedDevice(Identity(PK, DN, "secret"), character(Kind.SUCCEEDS), world)
        async with world.connect(device.identity) as link:
            assert isinstance(link, FakeLink)
            link.blocks = [None] * 4
            await device.session(link)

    with pytest.raises(Finished):
        finish(deaf())
    assert [short(m) for m in world.said] == ["connected", "1.0.0", 0, "block", "block", "block", "block", -2]


@pytest.mark.parametrize(
    "change", [{"code": 500}, {"message": "no"}, {"data": {}}, {"data": {"size": 1}}, {"data": []}, {"code": "x"}]
)
def test_a_notice_that_vendor_clients_would_drop_is_dropped(change: dict[str, object]) -> None:
    """The simulated device is as picky as the real ones."""
    assert read_notice(orjson.dumps(orjson.loads(push(NOTICE, 1)) | change)) is None


def test_the_spelling_of_the_sign_method_matters() -> None:
    """`MD5` is unknown to vendor SDKs; `Md5` is known."""
    assert read_notice(push(NOTICE, 1)) is not None
    assert read_notice(push(NOTICE, 1).replace(b'"SHA256"', b'"sha256"')) is None
