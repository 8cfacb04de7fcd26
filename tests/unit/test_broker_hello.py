import asyncio
from asyncio import IncompleteReadError, StreamReader

import pytest

from ota_console.demo.broker_hello import NothingSaid, ReplayingReader, UnsupportedVersion, look

CONNECT_3_1_1 = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"
CONNECT_5 = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01a"


def looked_at(said: bytes) -> tuple[bytes, bytes]:
    """What the broker reads after the look: by a first short read, then the rest."""

    async def read() -> tuple[bytes, bytes]:
        reader = StreamReader()
        reader.feed_data(said)
        reader.feed_eof()
        replaying: ReplayingReader = await look(reader)
        return await replaying.read(3), await replaying.read(len(said) - 3)

    return asyncio.run(read())


def test_a_client_of_mqtt_3_1_1_is_read_as_if_nobody_had_looked() -> None:
    """Not a byte is lost, wherever the reads end."""
    assert b"".join(looked_at(CONNECT_3_1_1)) == CONNECT_3_1_1


def test_a_client_of_mqtt_5_is_told_apart() -> None:
    """It would otherwise wait for an answer that never comes."""
    with pytest.raises(UnsupportedVersion):
        looked_at(CONNECT_5)


def test_a_port_probe_is_told_apart() -> None:
    """A health check opens the port and closes it."""
    with pytest.raises(NothingSaid):
        looked_at(b"")


def test_a_connection_that_breaks_off_is_an_error() -> None:
    """Half a packet is no client."""
    with pytest.raises(IncompleteReadError):
        looked_at(CONNECT_3_1_1[:7])


def test_what_is_not_mqtt_is_left_to_the_broker() -> None:
    """A web browser's request is handed on as it came."""
    request = b"GET / HTTP/1.1\r\n\r\n"
    assert b"".join(looked_at(request)) == request
