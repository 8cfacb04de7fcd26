"""Bytes from devices and brokers become values: `parse` is called for every message and never raises.

What is malformed, oversized or absurd becomes `Dropped` with a reason (rules.md §5). Tolerant where real clients need
it (interop.md 6): number or string `id` and `step`, missing envelope fields, trailing commas. Pure.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import orjson

from devices_app.protocol.payloads import (
    DEFAULT_MODULE,
    Dropped,
    DropReason,
    Echo,
    FileDownload,
    Inbound,
    LegacyRequest,
    MessageId,
    Presence,
    ProgressReport,
    PullRequest,
    VersionReport,
)
from devices_app.protocol.topics import TopicKind, classify

MAX_PAYLOAD_BYTES: Final = 16_384
"""A report has some hundred bytes; anything larger is not one."""
MIN_STEP: Final = -4
MAX_STEP: Final = 100
MAX_VERSION_LENGTH: Final = 64
MAX_DESC_LENGTH: Final = 128
MAX_ID_LENGTH: Final = 64
MAX_BLOCK_BYTES: Final = 131_072
"""Our own bound for one block over MQTT; the vendor's SDK asks for 5,120."""
MAX_DETAIL_LENGTH: Final = 120
MAX_SESSION_LENGTH: Final = 64
MAX_ADDRESS_LENGTH: Final = 45
MAX_DIGITS: Final = 18
_MAX_INT: Final = 2**63 - 1

_STEPS: Final = {str(step): step for step in range(MIN_STEP, MAX_STEP + 1)}
_MODULE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRAILING_COMMA: Final = re.compile(rb'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)

Params = dict[str, Any]
"""Decoded JSON of a stranger: every value is checked before use."""


class _RefusalError(Exception):
    """Leaves a parser early; never leaves this module."""

    def __init__(self, reason: DropReason, detail: object = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = repr(detail)[:MAX_DETAIL_LENGTH] if detail != "" else ""


def parse(topic: str, payload: bytes) -> Inbound:
    """One message of a device, or of the broker about it, as a value. Never raises."""
    subject = classify(topic)
    if subject is None:
        return Dropped(DropReason.UNKNOWN_TOPIC, detail=repr(topic[:MAX_DETAIL_LENGTH]))
    kind, product_key, device_name = subject
    try:
        return _PARSERS[kind](_decode(payload), product_key, device_name)
    except _RefusalError as refusal:
        return Dropped(refusal.reason, product_key, device_name, refusal.detail)


def parse_presence(payload: bytes, product_key: str, device_name: str) -> Presence | Dropped:
    """What a broker tells of a connection: `{"event", "session", "address", "at"}`, `at` in ms. Never raises."""
    try:
        return _presence(_decode(payload), product_key, device_name)
    except _RefusalError as refusal:
        return Dropped(refusal.reason, product_key, device_name, refusal.detail)


def _decode(payload: bytes) -> Params:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise _RefusalError(DropReason.TOO_BIG, len(payload))
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError:
        body = _decode_tolerantly(payload)
    if type(body) is not dict:
        raise _RefusalError(DropReason.BAD_JSON)
    return body


def _decode_tolerantly(payload: bytes) -> object:
    """What the C SDKs get wrong: trailing commas, a NUL behind the text, free text in another encoding than UTF-8."""
    text = _TRAILING_COMMA.sub(lambda found: found[1] or b"", payload.rstrip(b"\0 \r\n\t"))
    try:
        return orjson.loads(text.decode("utf-8", "replace"))
    except orjson.JSONDecodeError:
        raise _RefusalError(DropReason.BAD_JSON, payload[:MAX_DETAIL_LENGTH]) from None


def _params(body: Params) -> Params:
    params = body.get("params")
    if type(params) is not dict:
        raise _RefusalError(DropReason.BAD_PARAMS)
    return params


def _id(body: Params) -> MessageId:
    """A missing id is tolerated: the answer carries an empty one."""
    value = body.get("id", "")
    if type(value) is str and len(value) <= MAX_ID_LENGTH:
        return value
    if type(value) is int and -_MAX_INT <= value <= _MAX_INT:
        return value
    raise _RefusalError(DropReason.BAD_ID, value)


def _version(params: Params) -> str:
    """Any printable text: a device that runs "2.0 (beta)" runs it, whatever the console allows for uploads."""
    value = params.get("version")
    if type(value) is not str or not 0 < len(value) <= MAX_VERSION_LENGTH or not value.isprintable():
        raise _RefusalError(DropReason.BAD_VERSION, value)
    return value


def _module(params: Params) -> str:
    value = params.get("module")
    if value in (None, "", DEFAULT_MODULE):
        return DEFAULT_MODULE
    if type(value) is not str or not _MODULE.fullmatch(value):
        raise _RefusalError(DropReason.BAD_MODULE, value)
    return value


def _step(params: Params) -> int:
    value = params.get("step")
    if type(value) is str:
        step = _STEPS.get(value.strip())
    elif type(value) is int or (type(value) is float and value.is_integer()):
        step = int(value)
    else:
        step = None
    if step is None or not MIN_STEP <= step <= MAX_STEP:
        raise _RefusalError(DropReason.BAD_STEP, value)
    return step


def _desc(params: Params) -> str:
    """Free text of the device: unprintable characters become blanks, the rest is cut; another type is left out."""
    value = params.get("desc")
    if type(value) is not str or not value:
        return ""
    value = value[:MAX_DESC_LENGTH]
    return value if value.isprintable() else "".join(c if c.isprintable() else " " for c in value).strip()


def _inform(body: Params, product_key: str, device_name: str) -> Inbound:
    params = _params(body)
    return VersionReport(product_key, device_name, _module(params), _version(params))


def _progress(body: Params, product_key: str, device_name: str) -> Inbound:
    params = _params(body)
    return ProgressReport(product_key, device_name, _module(params), _step(params), _desc(params))


def _pull(body: Params, product_key: str, device_name: str) -> Inbound:
    params = body.get("params") or {}
    if type(params) is not dict:
        raise _RefusalError(DropReason.BAD_PARAMS)
    return PullRequest(product_key, device_name, _id(body), _module(params))


def _request(body: Params, product_key: str, device_name: str) -> Inbound:
    if "data" in body and "params" not in body:
        return Echo(product_key, device_name)
    return LegacyRequest(product_key, device_name, _id(body), _version(_params(body)))


def _file_download(body: Params, product_key: str, device_name: str) -> Inbound:
    params = _params(body)
    info, block, token = params.get("fileInfo"), params.get("fileBlock"), params.get("fileToken", "default")
    if type(info) is not dict or type(block) is not dict or type(token) is not str or len(token) > MAX_ID_LENGTH:
        raise _RefusalError(DropReason.BAD_PARAMS)
    stream_id, file_id = _number(info, "streamId"), _number(info, "fileId")
    offset, size = _number(block, "offset"), _number(block, "size")
    if not 0 < size <= MAX_BLOCK_BYTES:
        raise _RefusalError(DropReason.BAD_BLOCK, size)
    return FileDownload(product_key, device_name, _id(body), stream_id, file_id, offset, size, token)


def _number(values: Params, name: str) -> int:
    value = values.get(name)
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS:
        return int(value)
    if type(value) is not int or not 0 <= value <= _MAX_INT:
        raise _RefusalError(DropReason.BAD_BLOCK, {name: value})
    return value


def _presence(body: Params, product_key: str, device_name: str) -> Presence:
    event, at = body.get("event"), body.get("at")
    if event not in ("connected", "disconnected") or type(at) is not int:
        raise _RefusalError(DropReason.BAD_PRESENCE, body)
    session, address = _text(body, "session", MAX_SESSION_LENGTH), _text(body, "address", MAX_ADDRESS_LENGTH)
    return Presence(product_key, device_name, event == "connected", session, address, at)


def _text(body: Params, name: str, limit: int) -> str:
    value = body.get(name)
    if type(value) is not str or len(value) > limit or not value.isprintable():
        raise _RefusalError(DropReason.BAD_PRESENCE, {name: value})
    return value


_PARSERS: Final[dict[TopicKind, Callable[[Params, str, str], Inbound]]] = {
    TopicKind.INFORM: _inform,
    TopicKind.PROGRESS: _progress,
    TopicKind.REQUEST: _request,
    TopicKind.PULL: _pull,
    TopicKind.FILE_DOWNLOAD: _file_download,
    TopicKind.PRESENCE: _presence,
}
