"""The life of one simulated device: connect, report, listen, update, reboot. Its world is handed in.

The order of its messages is the vendor's: progress first, then, after the reboot, the new version. It must not know how
bytes travel.
"""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

import orjson

from devices_app.protocol import topics
from devices_app.protocol.blocks import read_block_reply
from devices_app.protocol.payloads import DEFAULT_MODULE
from devices_app.simulator.behaviour import Behaviour, Kind, wrong_version
from devices_app.simulator.updates import RemoteFile, Update, read_notice

BLOCK_BYTES: Final = 5_120
"""What the vendor's C SDK asks for."""
BLOCK_TRIES: Final = 4
HALF_WAY: Final = 50
DOWNLOAD_FAILED: Final = -2
VERIFICATION_FAILED: Final = -3
DONE: Final = 100


class LinkLost(Exception):
    """The connection to the broker is gone, or could not be made."""


class DownloadError(Exception):
    """The file could not be fetched; the text goes into the report."""


class Link(Protocol):
    """A connection of one device to the broker."""

    async def publish(self, topic: str, payload: bytes, qos: int) -> None:
        """Raises LinkLost."""

    async def receive(self) -> tuple[str, bytes]:
        """The next message. Raises LinkLost."""

    async def receive_soon(self) -> tuple[str, bytes] | None:
        """The next message, None if it does not come within seconds. Raises LinkLost."""


class World(Protocol):
    """What a device needs of the outside."""

    def connect(self, identity: "Identity") -> AbstractAsyncContextManager[Link]:
        """Log in; waits between failed tries. Raises LinkLost."""

    def fetch(self, url: str, start: int, end: int) -> AsyncGenerator[bytes]:
        """Bytes `start` to `end` (exclusive) of a file. Raises DownloadError."""

    async def pause(self, seconds: float) -> None:
        """Let time pass, at the speed of the simulation."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a device is and what runs on it: the version of each module."""

    product_key: str
    device_name: str
    device_secret: str
    versions: tuple[tuple[str, str], ...] = ((DEFAULT_MODULE, "1.0.0"),)


class InstallFailed(Exception):
    """Ends an update with a code of the seed."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class _WentOffline(Exception):
    """The device loses its connection on purpose."""


class SimulatedDevice:
    """Runs until it is cancelled."""

    def __init__(self, identity: Identity, behaviour: Behaviour, world: World) -> None:
        self.identity = identity
        self.behaviour = behaviour
        self.versions = dict(identity.versions)
        self._world = world
        self._names = identity.product_key, identity.device_name
        self._update: Update | None = None
        self._message_id = 0

    async def live(self) -> None:
        """Connect again whenever the connection is lost; what was fetched of an update is kept."""
        while True:
            away_seconds = 0.0
            try:
                async with self._world.connect(self.identity) as link:
                    away_seconds = await self.session(link)
            except LinkLost:
                continue
            await self._world.pause(away_seconds)

    async def session(self, link: Link) -> float:
        """One connection, from the report of the versions to the reboot; answers how long to stay away."""
        for module, version in self.versions.items():
            await self._report_version(link, module, version)
        while True:
            if self._update is None:
                await self._listen(link, await link.receive())
            if self._update is None:
                continue
            try:
                away_seconds = await self._install(link, self._update)
            except _WentOffline:
                return self.behaviour.offline_seconds
            self._update = None
            if away_seconds:
                return away_seconds

    async def _listen(self, link: Link, message: tuple[str, bytes]) -> None:
        topic, payload = message
        if topic not in (topics.upgrade(*self._names), topics.firmware_get_reply(*self._names)):
            return
        update = read_notice(payload)
        if update is None or self.behaviour.kind is Kind.IGNORES:
            return
        if self.versions.get(update.module) == update.version:
            await self._report_version(link, update.module, update.version)
            return
        self._update = update

    async def _install(self, link: Link, update: Update) -> float:
        """Seconds of the reboot after a success, 0 after a failure."""
        try:
            await self._download(link, update)
            self._verify(update)
        except InstallFailed as failure:
            await self._report_progress(link, update, failure.code, failure.text)
            return 0
        except DownloadError as error:
            await self._report_progress(link, update, DOWNLOAD_FAILED, str(error))
            return 0
        await self._report_progress(link, update, DONE, "")
        is_wrong = self.behaviour.kind is Kind.WRONG_VERSION
        self.versions[update.module] = wrong_version(update.version) if is_wrong else update.version
        return self.behaviour.reboot_seconds

    async def _download(self, link: Link, update: Update) -> None:
        """In quarters, with a report after each but the last: that one comes when the digest is right."""
        if update.reported < 0:
            await self._report_progress(link, update, 0, "")
        for percent, goal in update.parts():
            while (wanted := update.next_range(goal)) is not None:
                await self._fetch(link, update, *wanted)
            await self._world.pause(self.behaviour.step_seconds)
            if percent < DONE:
                await self._on_the_way(link, update, percent)

    async def _on_the_way(self, link: Link, update: Update, percent: int) -> None:
        await self._report_progress(link, update, percent, "")
        self._fail_if_it_must(percent)
        if self.behaviour.kind is Kind.OFFLINE and percent >= HALF_WAY and not update.was_offline:
            update.was_offline = True
            raise _WentOffline

    def _verify(self, update: Update) -> None:
        if not all(file.is_right for file in update.files):
            raise InstallFailed(VERIFICATION_FAILED, "digest mismatch")
        self._fail_if_it_must(DONE)

    def _fail_if_it_must(self, percent: int) -> None:
        """Downloads and updates break off on their way, verification and flashing at the end."""
        match self.behaviour.kind:
            case Kind.UPDATE_FAILS if percent == self.behaviour.fails_at:
                self._fail("the update was interrupted")
            case Kind.DOWNLOAD_FAILS if percent == self.behaviour.fails_at:
                self._fail("the download broke off")
            case Kind.VERIFICATION_FAILS if percent == DONE:
                self._fail("the signature is not valid")
            case Kind.FLASHING_FAILS if percent == DONE:
                self._fail("flash write error")

    def _fail(self, text: str) -> NoReturn:
        raise InstallFailed(self.behaviour.failure_code or 0, text)

    async def _fetch(self, link: Link, update: Update, file: RemoteFile, end: int) -> None:
        if update.stream_id is not None:
            await self._fetch_block(link, update.stream_id, file, min(end, file.fetched + BLOCK_BYTES))
            return
        async with aclosing(self._world.fetch(file.url, file.fetched, end)) as chunks:
            async for chunk in chunks:
                file.take(chunk)

    async def _fetch_block(self, link: Link, stream_id: int, file: RemoteFile, end: int) -> None:
        """Ask for one block over MQTT, again if it does not come or is not the one asked for."""
        request = {
            "fileToken": "default",
            "fileInfo": {"streamId": stream_id, "fileId": file.file_id},
            "fileBlock": {"size": end - file.fetched, "offset": file.fetched},
        }
        for _ in range(BLOCK_TRIES):
            await self._send(link, topics.file_download(*self._names), request)
            while (message := await link.receive_soon()) is not None:
                if message[0] != topics.file_download_reply(*self._names):
                    continue
                block = read_block_reply(message[1])
                if block is not None and block.offset == file.fetched:
                    file.take(block.data)
                    return
        raise DownloadError("no block came")

    async def _report_version(self, link: Link, module: str, version: str) -> None:
        params = {"version": version}
        if module != DEFAULT_MODULE:
            params["module"] = module
        await self._send(link, topics.inform(*self._names), params)

    async def _report_progress(self, link: Link, update: Update, step: int, text: str) -> None:
        params = {"step": str(step), "desc": text}
        if update.module != DEFAULT_MODULE:
            params["module"] = update.module
        await self._send(link, topics.progress(*self._names), params)
        update.reported = max(update.reported, step)

    async def _send(self, link: Link, topic: str, params: object) -> None:
        self._message_id += 1
        payload = orjson.dumps({"id": self._message_id, "params": params})
        await link.publish(topic, payload, self.behaviour.qos)
