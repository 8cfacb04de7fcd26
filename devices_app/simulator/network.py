"""How simulated devices reach the broker and the download server: aiomqtt and httpx.

One of each connection per device, as real devices have; downloads share a bounded number of requests.
"""

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Final, Self

import aiomqtt
import httpx

from devices_app.protocol import topics
from devices_app.protocol.credentials import Login, password_of
from devices_app.simulator.device import DownloadError, Identity, Link, LinkLost

KEEP_ALIVE_SECONDS: Final = 60
CONNECT_SECONDS: Final = 30
REPLY_SECONDS: Final = 10
"""After that long the vendor's client asks for a block again."""
TIMESTAMP: Final = "2524608000000"
"""The constant of the vendor's C SDK."""
CONNECTS_AT_ONCE: Final = 50
DOWNLOAD_TRIES: Final = 3
FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 30.0
CHUNK_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is. `subscribes`: for brokers that do not know `_ss=1`."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    subscribes: bool = False


class AiomqttLink:
    """One aiomqtt connection as a `Link`."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._messages = aiter(client.messages)

    async def publish(self, topic: str, payload: bytes, qos: int) -> None:
        """Wait until it is sent, at QoS 1 until it is acknowledged."""
        with _losses():
            await self._client.publish(topic, payload, qos)

    async def receive(self) -> tuple[str, bytes]:
        """Wait for as long as it takes."""
        with _losses():
            message = await anext(self._messages)
        return str(message.topic), message.payload

    async def receive_soon(self) -> tuple[str, bytes] | None:
        """Wait a little."""
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                return await self.receive()
        except TimeoutError:
            return None


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
        with _losses():
            async with contextlib.AsyncExitStack() as stack:
                async with self._connects:
                    client = await stack.enter_async_context(self._client(identity))
                if self._address.subscribes:
                    wanted = topics.delivered_unasked(identity.product_key, name)
                    await client.subscribe([(topic, 1) for topic in wanted])
                self._failures[name] = 1
                yield AiomqttLink(client)
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

    def _client(self, identity: Identity) -> aiomqtt.Client:
        pk, dn = identity.product_key, identity.device_name
        login = Login(pk, dn, f"{pk}.{dn}", "hmacsha256", TIMESTAMP)
        mode = 3 if self._address.tls is None else 2
        extra = f"timestamp={TIMESTAMP},_ss=1,_v=simulator,securemode={mode},signmethod=hmacsha256,ext=3,"
        return aiomqtt.Client(
            self._address.host,
            self._address.port,
            identifier=f"{login.client_id}|{extra}|",
            username=f"{dn}&{pk}",
            password=(password_of(login, identity.device_secret) or "").upper(),
            keepalive=KEEP_ALIVE_SECONDS,
            timeout=CONNECT_SECONDS,
            tls_context=self._address.tls,
        )


@contextlib.contextmanager
def _losses() -> Iterator[None]:
    """The library's errors as ours."""
    try:
        yield
    except aiomqtt.MqttError as error:
        raise LinkLost(str(error)) from error
