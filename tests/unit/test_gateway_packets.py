"""The hot packets of MQTT, read whole or in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota_console.gateway.packets import (
    MOST_PACKET_BYTES,
    MOST_PAYLOAD_BYTES,
    Acknowledged,
    MalformedPacket,
    Message,
    PacketReader,
    puback,
    publish,
    read_puback,
)

TOPICS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
MESSAGES = st.builds(
    Message,
    mid=st.integers(1, 65_535),
    qos=st.integers(0, 1),
    is_duplicate=st.booleans(),
    topic=TOPICS,
    payload=st.binary(max_size=300),
).map(lambda message: message if message.qos else message._replace(mid=0, is_duplicate=False))
OTHERS = st.sampled_from([b"\xd0\x00", b"\x20\x03\x00\x00\x00", b"\x40\x02\x00\x07", b"\x90\x04\x00\x01\x00\x01"])


def encoded(message: Message, *, has_properties: bool) -> bytes:
    packet = publish(message.topic, message.payload, mid=message.mid, has_properties=has_properties)
    return bytes([packet[0] | 0x08 * message.is_duplicate]) + packet[1:]


def read_all(reader: PacketReader) -> list[Message | bytes]:
    packets = []
    while (packet := reader.next()) is not None:
        packets.append(packet)
    return packets


@given(
    sent=st.lists(MESSAGES | OTHERS, max_size=20),
    cuts=st.lists(st.integers(1, 50), max_size=40),
    has_properties=st.booleans(),
)
def test_packets_come_out_as_they_were_sent_however_the_network_cuts_them(
    sent: list[Message | bytes], cuts: list[int], *, has_properties: bool
) -> None:
    """No packet is lost, doubled, reordered or joined with another."""
    stream = b"".join(
        encoded(packet, has_properties=has_properties) if isinstance(packet, Message) else packet for packet in sent
    )
    reader = PacketReader(has_properties=has_properties)
    received: list[Message | bytes] = []
    for cut in cuts:
        reader.feed(stream[:cut])
        stream = stream[cut:]
        received += read_all(reader)
    reader.feed(stream)
    assert received + read_all(reader) == sent


@pytest.mark.parametrize(
    ("packet", "has_properties", "message"),
    [
        (b"\x30\x06\x00\x02/ahi", False, Message(0, 0, is_duplicate=False, topic="/a", payload=b"hi")),
        (b"\x3b\x07\x00\x02/a\x01\x02x", False, Message(258, 1, is_duplicate=True, topic="/a", payload=b"x")),
        (b"\x32\x07\x00\x02/a\x00\x05\x00", True, Message(5, 1, is_duplicate=False, topic="/a", payload=b"")),
        (
            b"\x32\x06\x00\x02\xff\xff\x00\x01",
            False,
            Message(1, 1, is_duplicate=False, topic="\ufffd\ufffd", payload=b""),
        ),
    ],
)
def test_a_publish_reads_as_the_standard_says(packet: bytes, message: Message, *, has_properties: bool) -> None:
    """Flags, message id, topic, payload; a topic that is no text can still be acknowledged."""
    reader = PacketReader(has_properties=has_properties)
    reader.feed(packet)
    assert reader.next() == message


def test_properties_are_passed_over() -> None:
    """A broker may add what it likes."""
    packet = b"\x32\x10\x00\x02/a\x00\x05\x07\x26\x00\x01k\x00\x01v{}"
    reader = PacketReader(has_properties=True)
    reader.feed(packet)
    assert reader.next() == Message(5, 1, is_duplicate=False, topic="/a", payload=b"{}")


@given(size=st.integers(MOST_PAYLOAD_BYTES - 5, 5 * MOST_PAYLOAD_BYTES), cut=st.integers(5_000, 100_000))
def test_of_a_huge_message_only_a_head_is_kept(size: int, cut: int) -> None:
    """Memory is bounded whatever a device publishes; it can be acknowledged, and what follows is read as usual."""
    stream = publish("/t", b"x" * size, mid=7, has_properties=False) + publish("/t", b"y", mid=8, has_properties=False)
    reader = PacketReader(has_properties=False)
    received = []
    for start in range(0, len(stream), cut):
        reader.feed(stream[start : start + cut])
        received += read_all(reader)
    first, second = received
    assert isinstance(first, Message)
    assert first.mid == 7
    assert len(first.payload) == min(size, MOST_PAYLOAD_BYTES)
    assert second == Message(8, 1, is_duplicate=False, topic="/t", payload=b"y")


def test_a_length_that_is_not_there_yet_is_waited_for() -> None:
    """The network may cut a packet in the middle of its length."""
    packet = publish("/t", b"x" * 300, mid=1, has_properties=False)
    reader = PacketReader(has_properties=False)
    reader.feed(packet[:2])
    assert reader.next() is None
    reader.feed(packet[2:])
    assert isinstance(reader.next(), Message)


@pytest.mark.parametrize(
    ("stream", "has_properties"),
    [
        (b"\x32\xff\xff\xff\xff\x01", False),
        (b"\x32\x03\x00\x09a", False),
        (b"\x32\x06\x00\x01a\x00\x01\x7f", True),
        (b"\x32\x05\x00\x01a\x00\x01", True),
        (b"\x20" + b"\xff\xff\x7f", False),
    ],
)
def test_what_is_not_mqtt_is_said(stream: bytes, *, has_properties: bool) -> None:
    """The connection is given up instead of reading on at a wrong place."""
    reader = PacketReader(has_properties=has_properties)
    reader.feed(stream)
    with pytest.raises(MalformedPacket):
        reader.next()
    assert MOST_PACKET_BYTES < 0x1FFFFF


def test_an_acknowledgement_tells_its_message_and_whether_it_was_refused() -> None:
    """MQTT 5 gives a reason, 3.1.1 does not."""
    assert read_puback(puback(258)) == Acknowledged(258, is_refused=False)
    assert read_puback(b"\x40\x04\x00\x05\x10\x00") == Acknowledged(5, is_refused=False)
    assert read_puback(b"\x40\x03\x00\x05\x87") == Acknowledged(5, is_refused=True)
    assert read_puback(b"\xd0\x00") is None
