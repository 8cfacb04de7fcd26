"""How simulated devices reach the broker and the download server: gmqtt and httpx.

One of each connection per device, as real devices have; downloads share a bounded number of requests.
"""

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass
from typing import Final, Self, TypeVar

import gmqtt
import httpx
from gmqtt.mqtt.constants import MQTTv311

from devices_app.protocol import topics
from devices_app.protocol.credentials import Login, password_of
from devices_app.simulator.device import DownloadError, Identity, Link, LinkLost

KEEP_ALIVE_SECONDS: Final = 60
CONNECT_SECONDS: Final = 30
CLOSE_SECONDS: Final = 2
NEVER: Final = -2
"""Reconnects of the library; 0 would be one, −1 no end."""
REPLY_SECONDS: Final = 10
"""After that long the vendor's client asks for a block again."""
TIMESTAMP: Final = "2524608000000"
"""The constant of the vendor's C SDK."""
CONNECTS_AT_ONCE: Final = 50
DOWNLOAD_TRIES: Final = 3
FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 30.0
CHUNK_BYTES: Final = 65_536

T = TypeVar("T")
logging.getLogger("gmqtt").setLevel(logging.CRITICAL)  # it reports every lost connection, which is our daily bread


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is. `subscribes`: for brokers that do not know `_ss=1`."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    subscribes: bool = False


class GmqttLink:
    """One connection as a `Link`. Its own reconnecting is switched off: a device reboots by its own rules."""

    def __init__(self, client_id: str, username: str, password: str) -> None:
        self._messages: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._lost = asyncio.Event()
        self._client = gmqtt.Client(client_id)
        self._client.set_auth_credentials(username, password)
        self._client.set_config({"reconnect_retries": NEVER})
        self._client.on_message = self._received
        self._client.on_disconnect = lambda *_: self._lost.set()

    def _received(self, _client: object, topic: str, payload: bytes, _qos: int, _properties: object) -> int:
        self._messages.put_nowait((topic, payload))
        return 0

    async def open(self, address: Address) -> None:
        """Log in. Raises LinkLost, also where the broker goes away without an answer."""
        where = {"keepalive": KEEP_ALIVE_SECONDS, "version": MQTTv311, "ssl": address.tls or False}
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._unless_lost(self._client.connect(address.host, address.port, **where))
        except (OSError, gmqtt.mqtt.handler.MQTTConnectError, TimeoutError) as error:
            raise LinkLost(str(error)) from error

    async def close(self) -> None:
        """Say goodbye; what was published goes out before."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._client.disconnect()

    def subscribe(self, topic: str) -> None:
        """At QoS 1; the broker's answer is not waited for."""
        self._client.subscribe(topic, qos=1)

    async def publish(self, topic: str, payload: bytes, qos: int) -> None:
        """Hand it to the socket, and let the others run."""
        if self._lost.is_set():
            raise LinkLost("the connection is gone")
        self._client.publish(topic, payload, qos=qos)
        await asyncio.sleep(0)

    async def receive(self) -> tuple[str, bytes]:
        """Wait for as long as it takes."""
        return await self._unless_lost(self._messages.get())

    async def receive_soon(self) -> tuple[str, bytes] | None:
        """Wait a little."""
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                return await self.receive()
        except TimeoutError:
            return None

    async def _unless_lost(self, work: Coroutine[None, None, T]) -> T:
        """The result of `work`, or LinkLost as soon as the connection is gone."""
        doing, losing = asyncio.ensure_future(work), asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({doing, losing}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            raise LinkLost("the connection is gone")
        finally:
            losing.cancel()
            if not doing.done():
                doing.cancel()


class Network:
    """The world of a fleet; use it as an asynchronous context."""

    def __init__(self, address: Address, *, speed: float, downloads: int, seed: int) -> None:
        """`speed`: how many times faster than real devices; `downloads`: requests at once."""
        self._address = address
        self._speed = speed
        self._slots = asyncio.Semaphore(downloads)
        self._connects = asyncio.Semaphore(CONNECTS_AT_ONCE)
        self._random = random.Random(seed)  # noqa: S311 spreads reconnects, guards nothing
        self._failures: dict[str, int] = {}
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(60, pool=None), limits=httpx.Limits(max_connections=downloads)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def pause(self, seconds: float) -> None:
        """Simulated seconds."""
        await asyncio.sleep(seconds / self._speed)

    @contextlib.asynccontextmanager
    async def connect(self, identity: Identity) -> AsyncGenerator[Link]:
        """Log in as the C SDK does. After a loss the next try waits: half a second, doubled up to half a minute."""
        name = identity.device_name
        failures = self._failures.get(name, 0)
        if failures:
            longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**failures)
            await asyncio.sleep(longest * self._random.uniform(0.5, 1))
        self._failures[name] = failures + 1
        link = self._link(identity)
        try:
            async with self._connects:
                await link.open(self._address)
            if self._address.subscribes:
                for topic in topics.delivered_unasked(identity.product_key, name):
                    link.subscribe(topic)
            self._failures[name] = 1
            yield link
        finally:
            await link.close()
        self._failures[name] = 0

    async def fetch(self, url: str, start: int, end: int) -> AsyncGenerator[bytes]:
        """By `Range`, streamed; a request that breaks off is repeated from where it was."""
        for attempt in range(1, DOWNLOAD_TRIES + 1):
            headers = {"Range": f"bytes={start}-{end - 1}"}
            try:
                async with self._slots, self._http.stream("GET", url, headers=headers) as response:
                    if response.status_code != httpx.codes.PARTIAL_CONTENT:
                        raise DownloadError(f"HTTP {response.status_code}")
                    async for chunk in response.aiter_raw(CHUNK_BYTES):
                        start += len(chunk)
                        yield chunk
            except httpx.TransportError as error:
                if attempt == DOWNLOAD_TRIES:
                    raise DownloadError(type(error).__name__) from error
                await asyncio.sleep(FIRST_WAIT_SECONDS * 2**attempt)
            else:
                return

    def _link(self, identity: Identity) -> GmqttLink:
        pk, dn = identity.product_key, identity.device_name
        login = Login(pk, dn, f"{pk}.{dn}", "hmacsha256", TIMESTAMP)
        mode = 3 if self._address.tls is None else 2
        extra = f"timestamp={TIMESTAMP},_ss=1,_v=simulator,securemode={mode},signmethod=hmacsha256,ext=3,"
        password = (password_of(login, identity.device_secret) or "").upper()
        return GmqttLink(f"{login.client_id}|{extra}|", f"{dn}&{pk}", password)
