"""The embedded broker: amqtt's listeners, TLS and packets, with sessions, rights and delivery as the product needs.

Differs from amqtt's own behaviour: a device's session is keyed by its name and a newer log-in takes over; `_ss=1`
clients get their topics without a SUBSCRIBE; what devices publish reaches the gateway alone, at QoS 1, in a session
that is kept while the gateway is away; connects and disconnects become messages, so that they stand in order with the
device's own. Retained messages and wills are ignored. Everything lives in memory: for the demo and for tests, not for
production.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from amqtt.adapters import StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt.connack import BAD_USERNAME_PASSWORD, CONNECTION_ACCEPTED, SERVER_UNAVAILABLE
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session

from devices_app.protocol import topics
from devices_app.protocol.payloads import encode_presence
from devices_app.protocol.topics import Action
from ota_console.core import clock
from ota_console.demo.broker_access import GRANT, UNAVAILABLE, Grant
from ota_console.demo.broker_connection import REFUSED, Connection, Deaf
from ota_console.demo.broker_hello import UNSUPPORTED_VERSION, NothingSaid, UnsupportedVersion, look
from ota_console.demo.broker_journal import Names, SessionJournal
from ota_console.demo.broker_outbox import DEVICE, SERVER, Message, Outbox
from ota_console.demo.broker_router import Router, is_filter

CONNECT_SECONDS: Final = 30.0
"""For CONNECT and its check together; a fleet that reconnects at once queues for the check."""
REGISTRATION_SECONDS: Final = 30
MAX_FILTERS: Final = 200
"""Subscriptions of one device; the Node SDK has sixteen."""
MAX_HELD_MESSAGES: Final = 20_000
"""What devices said while no gateway had subscribed yet: after a restart of the broker they are often back first."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Client:
    """A session: of a device by its name, of a server by its client id."""

    grant: Grant
    outbox: Outbox
    is_kept: bool
    connection: Connection | None = field(default=None)

    def deliver(self, message: Message, granted_qos: int) -> None:
        """Send it, or keep it for a kept session; QoS 0 of devices is raised to the subscription's for a server."""
        qos = granted_qos if self.grant.is_server else min(granted_qos, message.qos)
        if qos and (self.connection is not None or self.is_kept):
            self._send(self.outbox.offer(message, is_connected=self.connection is not None))
        elif self.connection is not None:
            self._send([message.packet(None)])

    def _send(self, packets: list[bytes]) -> None:
        if self.connection is not None and packets:
            self.connection.send(*packets)


class EmbeddedBroker(Broker):
    """Give it a `BrokerConfig` that loads `AccessPlugin` and no other plugin for log-in."""

    def __init__(self, config: BrokerConfig, journal: SessionJournal) -> None:
        super().__init__(config)
        self._journal = journal
        self._clients: dict[str, Client] = {}
        self._router = Router()
        self._held: deque[Message] = deque(maxlen=MAX_HELD_MESSAGES)
        self._boot = secrets.token_hex(4)
        self._connection_count = 0
        for names, session in journal.ended.items():
            self._held.append(_presence(names, session, "", is_connect=False))

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Called by amqtt for each new socket; returns when it has ended."""
        self._connection_count += 1
        connection = Connection(reader, writer, number=self._connection_count)
        try:
            session = await self._read_connect(reader, writer, listener_name)
            grant: Grant | None = session.attributes.get(GRANT)
            if grant is None:
                self._refuse(session, connection)
            elif grant.answer is not None:
                await self._register(grant.answer, connection)
            else:
                await self._serve(grant, session, connection)
        except NothingSaid:
            log.debug("port_probed")
        except UnsupportedVersion:
            writer.write(UNSUPPORTED_VERSION)
        except (AMQTTError, MQTTError, NoDataError, TimeoutError, EOFError, OSError, ValueError) as error:
            log.info("connection_failed", error=str(error))
        finally:
            writer.close()

    async def shutdown(self) -> None:
        """Close every connection, then what amqtt has opened."""
        for client in list(self._clients.values()):
            if client.connection is not None:
                client.connection.cut()
        await super().shutdown()
        self._journal.close()

    # --- coming and going --------------------------------------------------------------------------------------------

    async def _read_connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> Session:
        """The CONNECT, with what the console says of the client in its attributes."""
        async with asyncio.timeout(CONNECT_SECONDS):
            streams = await look(reader), StreamWriterAdapter(writer)
            _, session = await BrokerProtocolHandler.init_from_connect(*streams, self.plugins_manager)
            if not await self._authenticate(session, self.listeners_config[listener_name]):
                session.attributes.pop(GRANT, None)
        return session

    def _refuse(self, session: Session, connection: Connection) -> None:
        code = SERVER_UNAVAILABLE if session.attributes.get(UNAVAILABLE) else BAD_USERNAME_PASSWORD
        connection.accept(code)
        log.info("client_refused", username=session.username, code=code)

    async def _register(self, answer: tuple[str, bytes], connection: Connection) -> None:
        """The client gets its secret; it leaves, or is shown out."""
        connection.accept(CONNECTION_ACCEPTED)
        connection.send(Message(*answer, qos=0).packet(None))
        connection.keep_alive_seconds = REGISTRATION_SECONDS
        await connection.serve(Deaf())

    async def _serve(self, grant: Grant, session: Session, connection: Connection) -> None:
        connection.session = f"{self._boot}-{connection.number}"
        connection.keep_alive_seconds = session.keep_alive
        client = self._attach(grant, connection, is_kept=grant.is_server and not session.clean_session)
        if client is None:
            return
        try:
            await connection.serve(_ClientHub(self, client))
        finally:
            self._detach(client, connection)

    def _attach(self, grant: Grant, connection: Connection, *, is_kept: bool) -> Client | None:
        """Nothing here waits, so that CONNACK, take-over, presence and first deliveries are one step.

        None for a connection that is no more, or older than the one it would take over: checks overtake each other.
        """
        client = self._clients.get(grant.key)
        current = None if client is None else client.connection
        if connection.is_gone or (current is not None and current.number > connection.number):
            return None
        if current is not None:
            log.info("session_taken_over", key=grant.key)
            current.cut()
        is_known = client is not None and client.is_kept and is_kept
        if client is None or not is_known:
            self._router.forget(grant.key)
            client = Client(grant, Outbox(SERVER if grant.is_server else DEVICE), is_kept)
            self._clients[grant.key] = client
        client.connection = connection
        connection.accept(CONNECTION_ACCEPTED, is_known=is_known)
        if grant.delivers_unasked:
            for topic in topics.delivered_unasked(grant.product_key, grant.device_name):
                self._router.subscribe(grant.key, topic, 1)
        connection.send(*client.outbox.resume())
        if not grant.is_server:
            self._journal.opened(grant.names, connection.session)
            self._tell_presence(grant, connection, is_connect=True)
        return client

    def _detach(self, client: Client, connection: Connection) -> None:
        """Also called for a connection that was taken over: its end is told under its own session name."""
        if not client.grant.is_server:
            self._tell_presence(client.grant, connection, is_connect=False)
        if client.connection is not connection:
            return
        client.connection = None
        if not client.is_kept and self._clients.get(client.grant.key) is client:
            del self._clients[client.grant.key]
            self._router.forget(client.grant.key)

    def _end_session(self, names: Names) -> None:
        """The console lets this device stay no longer."""
        for client in self._clients.values():
            if client.connection is not None and not client.grant.is_server and client.grant.names == names:
                log.info("session_ended", key=client.grant.key)
                client.connection.cut()

    def _tell_presence(self, grant: Grant, connection: Connection, *, is_connect: bool) -> None:
        self._to_servers(_presence(grant.names, connection.session, connection.address, is_connect=is_connect))

    # --- messages ----------------------------------------------------------------------------------------------------

    def received(self, client: Client, message: Message) -> None:
        """A client published: a server reaches everybody, a device the servers only."""
        if client.grant.is_server:
            names = topics.session_to_end(message.topic)
            if names is not None:
                self._end_session(names)
            for key, qos in self._router.route(message.topic).items():
                self._clients[key].deliver(message, qos)
        elif self._may(client.grant, message.topic, Action.PUBLISH):
            self._to_servers(message)
        else:
            log.info("publish_refused", key=client.grant.key, topic=message.topic[:200])

    def subscribe(self, client: Client, filters: Sequence[tuple[str, int]]) -> list[int]:
        """For each filter and QoS the granted QoS, or `REFUSED`."""
        codes = [self._subscribe(client, filter_, qos) for filter_, qos in filters]
        if client.grant.is_server:
            self._catch_up(client, [filter_ for filter_, _ in filters])
        return codes

    def _subscribe(self, client: Client, filter_: str, qos: int) -> int:
        key = client.grant.key
        is_full = not client.grant.is_server and self._router.filter_count(key) >= MAX_FILTERS
        if not is_filter(filter_) or is_full or not self._may(client.grant, filter_, Action.SUBSCRIBE):
            log.info("subscribe_refused", key=key, filter=filter_[:200])
            return REFUSED
        granted = min(qos, 1)
        self._router.subscribe(key, filter_, granted)
        return granted

    def unsubscribe(self, client: Client, filter_: str) -> None:
        """If it was subscribed."""
        self._router.unsubscribe(client.grant.key, filter_)

    def _may(self, grant: Grant, topic: str, action: Action) -> bool:
        return grant.is_server or topics.device_may(topic, grant.product_key, grant.device_name, action)

    def _to_servers(self, message: Message) -> None:
        reached = False
        for key, qos in self._router.route(message.topic).items():
            client = self._clients[key]
            if client.grant.is_server:
                client.deliver(message, qos)
                reached = True
        if not reached and topics.classify(message.topic) is not None:
            self._held.append(message)

    def _catch_up(self, client: Client, filters: Iterable[str]) -> None:
        """A server that subscribes gets what was held for lack of it, and is told who is connected."""
        wanted = Router()
        for filter_ in filters:
            wanted.subscribe("", filter_, 1)
        held, self._held = self._held, deque(maxlen=MAX_HELD_MESSAGES)
        for message in held:
            if wanted.route(message.topic):
                client.deliver(message, 1)
            else:
                self._held.append(message)
        for other in self._clients.values():
            if other.connection is not None and not other.grant.is_server:
                connection = other.connection
                message = _presence(other.grant.names, connection.session, connection.address, is_connect=True)
                if wanted.route(message.topic):
                    client.deliver(message, 1)


class _ClientHub:
    """The broker as one client's connection sees it."""

    def __init__(self, broker: EmbeddedBroker, client: Client) -> None:
        self._broker = broker
        self._client = client

    def received(self, message: Message) -> None:
        self._broker.received(self._client, message)

    def acknowledged(self, packet_id: int) -> None:
        if self._client.connection is not None:
            self._client.connection.send(*self._client.outbox.acknowledged(packet_id))

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> list[int]:
        return self._broker.subscribe(self._client, filters)

    def unsubscribe(self, filter_: str) -> None:
        self._broker.unsubscribe(self._client, filter_)


def _presence(names: Names, session: str, address: str, *, is_connect: bool) -> Message:
    at = int(clock.now().timestamp() * 1000)
    payload = encode_presence(is_connect=is_connect, session=session, address=address, at=at)
    return Message(topics.presence(*names), payload, 1)
