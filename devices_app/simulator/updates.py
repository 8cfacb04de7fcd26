"""An update as a device sees it: what it was told, what it has fetched, whether the digest is right. Pure."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from devices_app.protocol.payloads import DEFAULT_MODULE

ALGORITHMS: Final = {"Md5": "md5", "SHA256": "sha256"}
"""The spellings that vendor SDKs accept, and no other."""
PARTS: Final = 4
"""A download goes in quarters, each a request of its own, as the C SDK's does: 25 % of progress each."""


@dataclass(slots=True)
class RemoteFile:
    """A file that is being fetched; survives a lost connection."""

    size: int
    sign: str
    algorithm: str
    url: str = ""
    file_id: int = 0
    fetched: int = 0
    digest: Any = field(init=False)

    def __post_init__(self) -> None:
        self.digest = hashlib.new(self.algorithm, usedforsecurity=False)

    def take(self, chunk: bytes) -> None:
        """The next bytes, in order."""
        self.fetched += len(chunk)
        self.digest.update(chunk)

    @property
    def is_right(self) -> bool:
        """Size and digest are those that were told; lower-case hex, compared exactly, as vendor SDKs do."""
        return self.fetched == self.size and self.digest.hexdigest() == self.sign


@dataclass(slots=True)
class Update:
    """What a push or a get_reply told."""

    version: str
    module: str
    files: tuple[RemoteFile, ...]
    stream_id: int | None = None
    """Set: fetched by MQTT blocks."""
    reported: int = -1
    was_offline: bool = False

    @property
    def total_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size for file in self.files)

    @property
    def fetched_bytes(self) -> int:
        """So far."""
        return sum(file.fetched for file in self.files)

    def parts(self) -> Iterator[tuple[int, int]]:
        """Percent and bytes to have fetched by then, for what is still missing."""
        for number in range(1, PARTS + 1):
            goal = self.total_bytes * number // PARTS
            if number * 100 // PARTS > self.reported:
                yield number * 100 // PARTS, goal

    def next_range(self, goal: int) -> tuple[RemoteFile, int] | None:
        """The file to go on with and the end (exclusive) of what helps to reach `goal`; None if it is reached."""
        missing = goal - self.fetched_bytes
        if missing <= 0:
            return None
        file = next(file for file in self.files if file.fetched < file.size)
        return file, min(file.size, file.fetched + missing)


def read_notice(payload: bytes) -> Update | None:
    """The update in a push (`code` "1000") or a get_reply (`code` 200); None for anything else, empty data included."""
    try:
        body = orjson.loads(payload)
        is_good = int(body["code"]) in (1000, 200) and body.get("message") == "success" and body["data"]
        return _update(body["data"]) if is_good else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _update(data: dict[str, Any]) -> Update:
    algorithm = ALGORITHMS[data["signMethod"]]
    stream_id = data["streamId"] if data.get("dProtocol") == "mqtt" else None
    if "files" in data:
        files = tuple(
            RemoteFile(file["fileSize"], file["fileSign"], algorithm, file["fileUrl"]) for file in data["files"]
        )
    else:
        url = data["url"] if stream_id is None else ""
        files = (RemoteFile(data["size"], data["sign"], algorithm, url, data.get("streamFileId", 0)),)
    return Update(data["version"], data.get("module", DEFAULT_MODULE), files, stream_id)
