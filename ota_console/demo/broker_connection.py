"""One client's connection: packets in, packets out, until it ends.

amqtt decodes and encodes; the loop is ours because amqtt's own answers each packet in a task of its own, loses what is
still queued when the client leaves, and never notices a client that vanished. Rights and routing are the hub's.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final, Protocol

from amqtt.adapters import StreamReaderAdapter
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt import packet_class
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.disconnect import DisconnectPacket
from amqtt.mqtt.packet import MQTTFixedHeader, PacketIdVariableHeader
from amqtt.mqtt.pingreq import PingReqPacket
from amqtt.mqtt.pingresp import PingRespPacket
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.pubcomp import PubcompPacket
from amqtt.mqtt.publish import PublishPacket
from amqtt.mqtt.pubrec import PubrecPacket
from amqtt.mqtt.pubrel import PubrelPacket
from amqtt.mqtt.suback import SubackPacket
from amqtt.mqtt.subscribe import SubscribePacket, SubscribePayload
from amqtt.mqtt.unsuback import UnsubackPacket
from amqtt.mqtt.unsubscribe import UnsubscribePacket, UnubscribePayload

from ota_console.demo.broker_outbox import Message

MAX_PACKET_BYTES: Final = 300_000
"""A block of a file with its header is the largest thing that travels here."""
MAX_UNSENT_BYTES: Final = 8_000_000
"""A client that reads so much slower than it is written to is cut off."""
KEEP_ALIVE_FACTOR: Final = 1.5
EXACTLY_ONCE: Final = 2
REFUSED: Final = 0x80
"""Of a subscription."""


class Hub(Protocol):
    """What a connection asks of the broker."""

    def received(self, message: Message) -> None:
        """The client published this."""

    def acknowledged(self, packet_id: int) -> None:
        """The client has this message."""

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> list[int]:
        """For each filter and QoS the granted QoS, or 0x80."""

    def unsubscribe(self, filter_: str) -> None:
        """The client wants no more of this."""


class Connection:
    """A client's socket. Writing never waits: a client that does not read is cut off."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, number: int) -> None:
        """`number` counts connections in the order of their arrival."""
        self.number = number
        self.session = ""
        self.keep_alive_seconds = 0
        self.address = str((writer.get_extra_info("peername") or ("",))[0])
        self._stream = reader
        self._reader = StreamReaderAdapter(reader)
        self._writer = writer
        self._open_exactly_once: set[int] = set()

    def accept(self, code: int, *, is_known: bool = False) -> None:
        """The answer to CONNECT: the first packet of all."""
        self.send(ConnackPacket.build(int(is_known), code).to_bytes())

    def send(self, *packets: bytes) -> None:
        """Write now; cut the client off if it has stopped reading."""
        for packet in packets:
            self._writer.write(packet)
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.cut()

    @property
    def is_gone(self) -> bool:
        """The client has left already."""
        return self._writer.transport.is_closing() or self._stream.at_eof()

    def cut(self) -> None:
        """End it now; what is not on the wire yet is lost."""
        self._writer.transport.abort()

    async def serve(self, hub: Hub) -> None:
        """Answer packets until the client leaves, breaks the protocol or falls silent. Returns in all three cases."""
        broken = (AMQTTError, MQTTError, NoDataError, TimeoutError, OSError, ValueError, asyncio.IncompleteReadError)
        with contextlib.suppress(*broken):
            while True:
                packet = await self._next_packet()
                if packet is None or not self._handle(packet, hub):
                    return

    async def _next_packet(self) -> Any:
        async with asyncio.timeout(self.keep_alive_seconds * KEEP_ALIVE_FACTOR or None):
            header = await MQTTFixedHeader.from_stream(self._reader)
            if header is None or header.remaining_length > MAX_PACKET_BYTES:
                return None
            return await packet_class(header).from_stream(self._reader, fixed_header=header)

    def _handle(self, packet: object, hub: Hub) -> bool:
        """Whether to go on."""
        match packet:
            case PublishPacket():
                self._publish(packet, hub)
            case PubackPacket(variable_header=PacketIdVariableHeader() as head):
                hub.acknowledged(head.packet_id)
            case PubrelPacket():
                self._open_exactly_once.discard(packet.packet_id)
                self.send(PubcompPacket.build(packet.packet_id).to_bytes())
            case SubscribePacket(variable_header=PacketIdVariableHeader() as head, payload=SubscribePayload() as body):
                codes = hub.subscribe(body.topics)
                self.send(SubackPacket.build(head.packet_id, codes).to_bytes())
            case UnsubscribePacket(
                variable_header=PacketIdVariableHeader() as head, payload=UnubscribePayload() as body
            ):
                for filter_ in body.topics:
                    hub.unsubscribe(filter_)
                self.send(UnsubackPacket.build(head.packet_id).to_bytes())
            case PingReqPacket():
                self.send(PingRespPacket.build().to_bytes())
            case DisconnectPacket() | _:
                return False
        return True

    def _publish(self, packet: PublishPacket, hub: Hub) -> None:
        packet_id = packet.packet_id
        message = Message(packet.topic_name or "", packet.data or b"", packet.qos or 0)
        if packet_id is None:
            hub.received(message)
        elif packet.qos == EXACTLY_ONCE:
            if packet_id not in self._open_exactly_once:
                self._open_exactly_once.add(packet_id)
                hub.received(message)
            self.send(PubrecPacket.build(packet_id).to_bytes())
        else:
            hub.received(message)
            self.send(PubackPacket.build(packet_id).to_bytes())


class Deaf:
    """A connection that only came for its secret."""

    def received(self, message: Message) -> None:
        """Ignored."""

    def acknowledged(self, packet_id: int) -> None:
        """Ignored."""

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> list[int]:
        return [REFUSED for _ in filters]

    def unsubscribe(self, filter_: str) -> None:
        """Ignored."""
