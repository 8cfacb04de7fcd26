"""What devices say, as values, and what they are told, as bytes (vendor reference §4.3–§4.7, §11; interop.md 4–6).

Pure. Bytes to devices are compact JSON in an order that first-match text searches of the C SDKs survive: `extData`
after the fields it could shadow, `files` last. The vendor's words (firmware, sign) stay inside the JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import orjson

DEFAULT_MODULE: Final = "default"
"""The module that means the whole device; left out on the wire."""

WIRE_SIGN_METHODS: Final = {"MD5": "Md5", "SHA256": "SHA256"}
"""The clients compare these spellings exactly (vendor reference §10.2)."""

MessageId = int | str
"""Devices number their requests with a JSON number or a string; an answer repeats what came."""

# --- from devices: slotted but not frozen, since one is made for every message and frozen costs four times as much ---


class DropReason(StrEnum):
    """Why a message was not understood. Counted, and shown on the device's page."""

    UNKNOWN_TOPIC = "unknown_topic"
    TOO_BIG = "too_big"
    BAD_JSON = "bad_json"
    BAD_PARAMS = "bad_params"
    BAD_ID = "bad_id"
    BAD_VERSION = "bad_version"
    BAD_MODULE = "bad_module"
    BAD_STEP = "bad_step"
    BAD_BLOCK = "bad_block"
    BAD_PRESENCE = "bad_presence"
    UNPROCESSABLE = "unprocessable"
    """Understood, but it could not be applied: the gateway found it by halving a micro-batch."""


@dataclass(slots=True)
class VersionReport:
    """The device runs this version of this module."""

    product_key: str
    device_name: str
    module: str
    version: str


@dataclass(slots=True)
class ProgressReport:
    """−4 … −1: failed; 0 … 100: percent."""

    product_key: str
    device_name: str
    module: str
    step: int
    desc: str


@dataclass(slots=True)
class PullRequest:
    """The device asks for its update."""

    product_key: str
    device_name: str
    id: MessageId
    module: str


@dataclass(slots=True)
class LegacyRequest:
    """An old client reports the version of its default module and asks for its update in one message."""

    product_key: str
    device_name: str
    id: MessageId
    version: str


@dataclass(slots=True)
class FileDownload:
    """The device asks for `size` bytes from `offset` of a file of its update."""

    product_key: str
    device_name: str
    id: MessageId
    stream_id: int
    file_id: int
    offset: int
    size: int
    file_token: str


@dataclass(slots=True)
class Presence:
    """What the broker says of a connection, which `session` names; `at` is the broker's clock in milliseconds."""

    product_key: str
    device_name: str
    is_connect: bool
    session: str
    address: str
    at: int


@dataclass(slots=True)
class Echo:
    """Our own answer on a topic that is used both ways: not from the device. Acknowledge it and forget it."""

    product_key: str
    device_name: str


@dataclass(slots=True)
class Dropped:
    """Not understood. The names are empty when the topic does not tell the device."""

    reason: DropReason
    product_key: str = ""
    device_name: str = ""
    detail: str = ""


Inbound = ProgressReport | VersionReport | PullRequest | LegacyRequest | FileDownload | Presence | Echo | Dropped

# --- to devices ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NoticeFile:
    """One file of an update. Digests are lower-case hex; `sha256` may be empty when the sign method is MD5."""

    name: str
    size_bytes: int
    url: str
    md5: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """An update as a device is told of it. With a `stream_id` the (single) file is fetched by MQTT blocks."""

    version: str
    sign_method: str
    files: tuple[NoticeFile, ...]
    module: str = DEFAULT_MODULE
    is_delta: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    custom_info: str = ""
    digest_signature: str = ""
    stream_id: int | None = None
    stream_file_id: int = 1

    def sign_of(self, file: NoticeFile) -> str:
        """The digest by the package's sign method."""
        return file.md5 if self.sign_method == "MD5" else file.sha256


def push(notice: Notice, message_id: int) -> bytes:
    """The push of an update; also the answer to a legacy request. `message_id`: milliseconds since 1970."""
    return orjson.dumps({"code": "1000", "data": notice_data(notice), "id": message_id, "message": "success"})


def get_reply(notice: Notice, message_id: MessageId) -> bytes:
    """The answer to a pull for which there is an update."""
    return orjson.dumps({"id": message_id, "code": 200, "message": "success", "data": notice_data(notice)})


def empty_get_reply(message_id: MessageId) -> bytes:
    """The answer to a pull for which there is no update."""
    return orjson.dumps({"id": message_id, "code": 200, "message": "success", "data": {}})


def register_reply(product_key: str, device_name: str, device_secret: str) -> bytes:
    """The answer to a dynamic registration over MQTT, on `/ext/register` (interop.md 8)."""
    return orjson.dumps({"productKey": product_key, "deviceName": device_name, "deviceSecret": device_secret})


def encode_presence(*, is_connect: bool, session: str, address: str, at: int) -> bytes:
    """What a broker tells the gateway on a device's presence topic; `parsing.parse_presence` reads it."""
    event = "connected" if is_connect else "disconnected"
    return orjson.dumps({"event": event, "session": session, "address": address, "at": at})


def notice_data(notice: Notice) -> dict[str, object]:
    """The `data` object of a push or a get_reply, in wire order."""
    data: dict[str, object] = {}
    if len(notice.files) == 1:
        data |= _single_file(notice, notice.files[0])
    else:
        data |= {"version": notice.version, "signMethod": WIRE_SIGN_METHODS[notice.sign_method]}
    extra = dict(notice.tags)
    if notice.custom_info:
        extra["_package_udi"] = notice.custom_info
    if notice.is_delta:
        data["isDiff"] = 1
    if notice.module != DEFAULT_MODULE or "module" in extra:  # a tag of that name must not be taken for the module
        data["module"] = notice.module
    if notice.digest_signature:
        data["digestsign"] = notice.digest_signature
    if extra:
        data["extData"] = extra
    if len(notice.files) != 1:
        data["files"] = [_listed_file(notice, file) for file in notice.files]
    return data


def _single_file(notice: Notice, file: NoticeFile) -> dict[str, object]:
    data: dict[str, object] = {"size": file.size_bytes, "version": notice.version}
    if notice.stream_id is None:
        data["url"] = file.url
    else:
        data |= {"streamId": notice.stream_id, "streamFileId": notice.stream_file_id, "dProtocol": "mqtt"}
    if file.md5:
        data["md5"] = file.md5
    return data | {"sign": notice.sign_of(file), "signMethod": WIRE_SIGN_METHODS[notice.sign_method]}


def _listed_file(notice: Notice, file: NoticeFile) -> dict[str, object]:
    data: dict[str, object] = {"fileSize": file.size_bytes, "fileName": file.name, "fileUrl": file.url}
    if file.md5:
        data["fileMd5"] = file.md5
    return data | {"fileSign": notice.sign_of(file)}
