"""Looks at the first bytes of a connection before amqtt does: it knows MQTT 3.1.1 alone, and waits for ever on MQTT 5.

A client of MQTT 5 is told so in its own form and comes back with 3.1.1; one that says nothing is a port probe.
"""

from asyncio import IncompleteReadError, StreamReader
from typing import Final

from amqtt.adapters import StreamReaderAdapter

MQTT_5: Final = 5
UNSUPPORTED_VERSION: Final = b"\x20\x03\x00\x84\x00"
"""MQTT 5 §3.2: CONNACK without a session, reason 0x84, no properties."""
CONTINUES: Final = 0x80
"""MQTT 3.1.1 §2.2.3: the length goes on in the next byte, up to four of them."""
MOST_LENGTH_BYTES: Final = 4
LONGEST_NAME: Final = 6
"""`MQIsdp`, of MQTT 3.1."""


class NothingSaid(Exception):
    """The connection was closed before its first byte."""


class UnsupportedVersion(Exception):
    """The client speaks MQTT 5; answer UNSUPPORTED_VERSION."""


class ReplayingReader(StreamReaderAdapter):
    """Gives what was looked at once more, then what follows."""

    def __init__(self, reader: StreamReader, seen: bytes) -> None:
        super().__init__(reader)
        self._seen = seen

    async def read(self, n: int = -1) -> bytes:
        replayed, self._seen = (self._seen, b"") if n < 0 else (self._seen[:n], self._seen[n:])
        missing = n - len(replayed)
        if replayed and missing <= 0:
            return replayed
        rest: bytes = await super().read(missing if n >= 0 else n)
        return replayed + rest


async def look(reader: StreamReader) -> ReplayingReader:
    """Read as far as the protocol's level. Raises NothingSaid, UnsupportedVersion, IncompleteReadError."""
    try:
        seen = await reader.readexactly(1)
    except IncompleteReadError as error:
        raise NothingSaid from error
    for _ in range(MOST_LENGTH_BYTES):
        seen += await reader.readexactly(1)
        if not seen[-1] & CONTINUES:
            break
    name_length = await reader.readexactly(2)
    seen += name_length
    length = int.from_bytes(name_length, "big")
    if length <= LONGEST_NAME:
        seen += await reader.readexactly(length + 1)
        if seen[-1] == MQTT_5:
            raise UnsupportedVersion
    return ReplayingReader(reader, seen)
