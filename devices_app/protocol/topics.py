"""Names of the MQTT topics that devices, gateway and broker share, and who may use them (vendor reference §4.2).

Pure: builds, recognises and judges topic names. Must not look at payloads.
"""

import re
from enum import Enum, StrEnum
from typing import Final

REGISTER: Final = "/ext/register"
"""The broker answers a dynamic registration here, to the asking connection alone."""

PRODUCT_KEY: Final = "[A-Za-z0-9]{4,32}"
DEVICE_NAME: Final = "[A-Za-z0-9_@.:-]{4,32}"


class TopicKind(StrEnum):
    """What the gateway listens to. The values are the topics' own words."""

    INFORM = "inform"
    PROGRESS = "progress"
    REQUEST = "request"
    PULL = "thing/ota/firmware/get"
    FILE_DOWNLOAD = "thing/file/download"
    PRESENCE = "presence"


class Action(Enum):
    """What a client wants to do with a topic."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"


Topic = tuple[TopicKind, str, str]
"""A recognised topic of one device: kind, product key, device name. A plain tuple: one is made for every message."""

GATEWAY_FILTERS: Final = (
    "/ota/device/inform/+/+",
    "/ota/device/progress/+/+",
    "/ota/device/request/+/+",
    "/sys/+/+/thing/ota/firmware/get",
    "/sys/+/+/thing/file/download",
    "ota/presence/+/+",
)
"""What the gateway subscribes to, at QoS 1."""

_OTA: Final = re.compile(rf"/ota/device/(inform|progress|request)/({PRODUCT_KEY})/({DEVICE_NAME})")
_SYS: Final = re.compile(rf"/sys/({PRODUCT_KEY})/({DEVICE_NAME})/(thing/ota/firmware/get|thing/file/download)")
_PRESENCE: Final = re.compile(rf"ota/(presence)/({PRODUCT_KEY})/({DEVICE_NAME})")
_SESSION_END: Final = re.compile(rf"ota/end/({PRODUCT_KEY})/({DEVICE_NAME})")
_KINDS: Final = {kind.value: kind for kind in TopicKind}


def inform(product_key: str, device_name: str) -> str:
    """Up: the version of a module."""
    return f"/ota/device/inform/{product_key}/{device_name}"


def progress(product_key: str, device_name: str) -> str:
    """Up: progress or a failure code."""
    return f"/ota/device/progress/{product_key}/{device_name}"


def upgrade(product_key: str, device_name: str) -> str:
    """Down: an update is pushed."""
    return f"/ota/device/upgrade/{product_key}/{device_name}"


def legacy_request(product_key: str, device_name: str) -> str:
    """Both ways: old clients ask and are answered on the same topic."""
    return f"/ota/device/request/{product_key}/{device_name}"


def firmware_get(product_key: str, device_name: str) -> str:
    """Up: the device asks for its update."""
    return f"/sys/{product_key}/{device_name}/thing/ota/firmware/get"


def firmware_get_reply(product_key: str, device_name: str) -> str:
    """Down: the answer to `firmware_get`."""
    return f"/sys/{product_key}/{device_name}/thing/ota/firmware/get_reply"


def file_download(product_key: str, device_name: str) -> str:
    """Up: the device asks for a block of a file."""
    return f"/sys/{product_key}/{device_name}/thing/file/download"


def file_download_reply(product_key: str, device_name: str) -> str:
    """Down: a block of a file."""
    return f"/sys/{product_key}/{device_name}/thing/file/download_reply"


def presence(product_key: str, device_name: str) -> str:
    """Internal: what the broker says of a device's connection. Devices can neither write nor read it."""
    return f"ota/presence/{product_key}/{device_name}"


def session_end(product_key: str, device_name: str) -> str:
    """Internal: the console asks the broker to end this device's session. Devices can neither write nor read it."""
    return f"ota/end/{product_key}/{device_name}"


def session_to_end(topic: str) -> tuple[str, str] | None:
    """Product key and device name of a `session_end`; None for any other topic."""
    match = _SESSION_END.fullmatch(topic)
    return None if match is None else (match[1], match[2])


def delivered_unasked(product_key: str, device_name: str) -> tuple[str, ...]:
    """Topics that reach a client whose clientId says `_ss=1` without a SUBSCRIBE (interop.md 1)."""
    return (
        upgrade(product_key, device_name),
        firmware_get_reply(product_key, device_name),
        file_download_reply(product_key, device_name),
    )


def classify(topic: str) -> Topic | None:
    """The kind and the device of a topic the gateway listens to; None for any other, or for impossible names."""
    match = _OTA.fullmatch(topic) or _PRESENCE.fullmatch(topic)
    if match is not None:
        kind, product_key, device_name = match.groups()
        return _KINDS[kind], product_key, device_name
    match = _SYS.fullmatch(topic)
    if match is not None:
        product_key, device_name, kind = match.groups()
        return _KINDS[kind], product_key, device_name
    return None


def device_may(topic: str, product_key: str, device_name: str, action: Action) -> bool:
    """A device may touch its own topics only; on them it may do what it likes (rules.md §5, interop.md 6).

    `topic` is a topic name to publish to, or a filter to subscribe to: wildcards are fine behind the device's own name.
    """
    if action is Action.PUBLISH and ("+" in topic or "#" in topic):
        return False
    own = [product_key, device_name]
    match topic.split("/"):
        case ["", "ota", "device", _, pk, dn]:
            return [pk, dn] == own
        case ["", "sys", pk, dn, _, *_]:
            return [pk, dn] == own
        case ["", "shadow", "update" | "get", pk, dn]:
            return [pk, dn] == own
        case ["", "ext", "ntp" | "session" | "error", pk, dn, *_]:
            return [pk, dn] == own
        case ["", "ext", "register"]:
            return action is Action.SUBSCRIBE
        case ["", pk, dn, _, *_]:
            return [pk, dn] == own
        case _:
            return False
