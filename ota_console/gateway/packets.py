"""The two MQTT packets that come and go by the hundred thousand, PUBLISH and PUBACK. All others are left to paho.

paho spends several times as long on a message as all that we do with it, most of it on MQTT 5 properties that nobody
reads. This also bounds memory: of a message that is too large, only a head is kept. Pure.
"""

from typing import Final, NamedTuple

MOST_PAYLOAD_BYTES: Final = 65_536
"""Of a larger payload so much is kept, which the parser refuses as too big; the rest is skipped as it comes."""
MOST_PACKET_BYTES: Final = 1_048_576
"""Of packets other than PUBLISH: they have some hundred bytes."""
_PUBLISH: Final = 0x30
_PUBACK: Final = 0x40
_EXACTLY_ONCE: Final = 0x04
"""QoS 2 in the first byte: never asked for, so left to the library."""
_MORE: Final = 128
"""The bit in a length's digit that says that another one follows."""
_PUBACK_BYTES: Final = 4
_REFUSED: Final = 0x80
"""Reason codes of MQTT 5 from here on say no."""
_LENGTH_BYTES: Final = 4


class Message(NamedTuple):
    """A PUBLISH: message id (0 at QoS 0), QoS, is a duplicate, topic, payload."""

    mid: int
    qos: int
    is_duplicate: bool
    topic: str
    payload: bytes


class MalformedPacket(Exception):
    """What came is not MQTT."""


class PacketReader:
    """Bytes in, messages and other whole packets out."""

    def __init__(self, *, has_properties: bool) -> None:
        """`has_properties`: MQTT 5."""
        self._has_properties = has_properties
        self._data = b""
        self._position = 0
        self._skip = 0

    def feed(self, data: bytes) -> None:
        """What the network brought."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        self._data = self._data[self._position :] + data
        self._position = 0

    def next(self) -> Message | bytes | None:
        """The next message, or another packet as it is; None: more bytes are needed. Raises MalformedPacket."""
        data, start = self._data, self._position
        if len(data) < start + 2:
            return None
        length = data[start + 1]
        body = start + 2
        if length >= _MORE:
            longer = _length(data, start + 1)
            if longer is None:
                return None
            length, body = longer
        end = body + length
        if data[start] & 0xF0 == _PUBLISH and data[start] & 0x06 != _EXACTLY_ONCE:
            return self._publish(data[start], body, end)
        if length > MOST_PACKET_BYTES:
            raise MalformedPacket(f"a packet of {length} bytes")
        if len(data) < end:
            return None
        self._position = end
        return data[start:end]

    def _publish(self, first: int, body: int, end: int) -> Message | None:
        data = self._data
        there = len(data)
        if there < end and (there - body <= 2 * MOST_PAYLOAD_BYTES or end - body <= 2 * MOST_PAYLOAD_BYTES):
            return None  # of a larger packet, the head with its topic (at most 65,535 bytes) is there by then
        topic_end = body + 2 + int.from_bytes(data[body : body + 2], "big")
        at = topic_end
        mid = 0
        qos = first >> 1 & 3
        if qos:
            mid = int.from_bytes(data[at : at + 2], "big")
            at += 2
        if self._has_properties:
            properties = _length(data, at)
            if properties is None:
                raise MalformedPacket("a PUBLISH whose properties have no length")
            at = properties[1] + properties[0]
        if at > end:
            raise MalformedPacket("a PUBLISH that is longer than its packet")
        payload = data[at : min(end, at + MOST_PAYLOAD_BYTES)] if end - at > MOST_PAYLOAD_BYTES else data[at:end]
        topic = data[body + 2 : topic_end].decode("utf-8", "replace")
        self._skip = max(0, end - there)
        self._position = min(end, there)
        return Message(mid, qos, first & 0x08 != 0, topic, payload)


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """A length of MQTT and the position behind it; None: it is not there yet."""
    value = 0
    for position in range(at, min(at + _LENGTH_BYTES, len(data))):
        digit = data[position]
        value |= digit % _MORE << 7 * (position - at)
        if digit < _MORE:
            return value, position + 1
    if len(data) >= at + _LENGTH_BYTES:
        raise MalformedPacket("a length of more than four bytes")
    return None


def puback(mid: int) -> bytes:
    """The acknowledgement of a message at QoS 1, on any version of MQTT."""
    return b"\x40\x02" + mid.to_bytes(2, "big")


class Acknowledged(NamedTuple):
    """A PUBACK for a message of ours. A refused one was not delivered to anybody."""

    mid: int
    is_refused: bool


def read_puback(packet: bytes) -> Acknowledged | None:
    """What a whole packet acknowledges; None: it is another kind of packet."""
    if packet[0] != _PUBACK or len(packet) < _PUBACK_BYTES:
        return None
    return Acknowledged(
        int.from_bytes(packet[2:4], "big"), len(packet) > _PUBACK_BYTES and packet[_PUBACK_BYTES] >= _REFUSED
    )


def publish(topic: str, payload: bytes, *, mid: int, has_properties: bool) -> bytes:
    """A PUBLISH at QoS 1, or at QoS 0 for message id 0. The topic has at most 65,535 bytes."""
    name = topic.encode()
    head = len(name).to_bytes(2, "big") + name
    if mid:
        head += mid.to_bytes(2, "big")
    if has_properties:
        head += b"\0"
    return (b"\x32" if mid else b"\x30") + _encoded_length(len(head) + len(payload)) + head + payload


def _encoded_length(value: int) -> bytes:
    encoded = bytearray()
    while value >= _MORE:
        encoded.append(value % _MORE | _MORE)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
