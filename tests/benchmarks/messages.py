"""Files of messages for the helper processes.

Encoded packets for the generator, topics and payloads for the publisher.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.benchmarks import wire

Message = tuple[str, bytes]
"""Topic and payload."""


def write_packets(file: Path, messages: Sequence[Message]) -> Path:
    """Eight bytes with their number, then PUBLISH packets at QoS 1."""
    packets = b"".join(wire.publish(number, topic, payload) for number, (topic, payload) in enumerate(messages))
    file.write_bytes(len(messages).to_bytes(8, "big") + packets)
    return file


def write_messages(file: Path, messages: Iterable[Message]) -> Path:
    """A line each: topic, blank, payload; payloads are compact JSON and have no line breaks."""
    file.write_bytes(b"".join(topic.encode() + b" " + payload + b"\n" for topic, payload in messages))
    return file


def read_messages(file: Path) -> list[Message]:
    """The inverse of `write_messages`."""
    pairs = (line.partition(b" ") for line in file.read_bytes().splitlines())
    return [(topic.decode(), payload) for topic, _, payload in pairs]
