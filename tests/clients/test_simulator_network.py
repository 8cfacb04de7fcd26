"""How simulated devices reach broker and file server, and what they make of trouble."""

import asyncio
import os
import ssl
from collections.abc import Coroutine
from typing import TypeVar

import pytest

from devices_app.protocol import topics
from devices_app.simulator.behaviour import ALL_SUCCEED
from devices_app.simulator.device import DownloadError, Identity, LinkLost
from devices_app.simulator.fleet import FleetConfig, run_fleet
from devices_app.simulator.network import Address, Network
from ota_console.demo.processes import free_port
from tests.clients.conftest import Broker
from tests.clients.console_stub import PRODUCT_KEY, secret_of
from tests.clients.file_server import serving
from tests.clients.mqtt import connected, server
from tests.clients.test_simulated_fleet import words_of

T = TypeVar("T")
CONTENT = os.urandom(100_000)


def identity(name: str, secret: str = "") -> Identity:
    return Identity(PRODUCT_KEY, name, secret or secret_of(name))


def network(address: Address) -> Network:
    return Network(address, speed=1000, downloads=2, seed=7)


def run(work: Coroutine[None, None, T]) -> T:
    async def within_time() -> T:
        async with asyncio.timeout(60):
            return await work

    return asyncio.run(within_time())


async def fetched(url: str, start: int, end: int) -> bytes:
    async with network(Address("127.0.0.1", 1)) as world:
        return b"".join([chunk async for chunk in world.fetch(url, start, end)])


def test_a_part_of_a_file_is_fetched_by_range() -> None:
    """And nothing but that part."""
    with serving(CONTENT) as url:
        assert run(fetched(url, 10, 90_000)) == CONTENT[10:90_000]


def test_a_server_that_answers_otherwise_fails_the_download() -> None:
    """As a link that died with its task does, or a server that is gone."""
    with serving(CONTENT) as url, pytest.raises(DownloadError, match="HTTP 404"):
        run(fetched(url + "-gone", 0, 10))
    with pytest.raises(DownloadError, match="ConnectError"):
        run(fetched(f"http://127.0.0.1:{free_port()}/f", 0, 10))


async def connects(address: Address, who: Identity) -> bool:
    """Whether it comes in."""
    async with network(address) as world:
        try:
            async with world.connect(who):
                return True
        except LinkLost:
            return False


def test_a_device_is_let_in_or_not(broker: Broker) -> None:
    """By its secret; and nobody where nobody listens."""
    address = Address("127.0.0.1", broker.port)
    assert run(connects(address, identity("net-in")))
    assert not run(connects(address, identity("net-out", "wrong")))
    assert not run(connects(Address("127.0.0.1", free_port()), identity("net-in")))


def test_a_device_connects_by_tls(broker: Broker) -> None:
    """If it trusts the certificate."""
    trusting = ssl.create_default_context(cafile=str(broker.ca))
    assert run(connects(Address("127.0.0.1", broker.tls_port, trusting), identity("net-tls")))
    assert not run(connects(Address("127.0.0.1", broker.tls_port, ssl.create_default_context()), identity("net-tls")))


def test_a_device_can_subscribe_by_itself(broker: Broker) -> None:
    """For brokers that do not know `_ss=1`; with one that does it gets each message once."""

    async def first_message() -> tuple[str, bytes]:
        address = Address("127.0.0.1", broker.port, subscribes=True)
        async with network(address) as world, world.connect(identity("net-sub")) as link:
            await asyncio.to_thread(publisher.publish, topics.upgrade(PRODUCT_KEY, "net-sub"), b"1", 1)
            return await link.receive()

    with connected(server(broker.port, "pub-net-sub")) as (publisher,):
        assert run(first_message()) == (topics.upgrade(PRODUCT_KEY, "net-sub"), b"1")


def test_a_fleet_comes_and_goes(broker: Broker) -> None:
    """It reports at once, and ends when it is told to."""
    names = [f"net-fleet-{number}" for number in range(5)]

    async def short_life() -> None:
        stopping = asyncio.Event()
        config = FleetConfig(Address("127.0.0.1", broker.port), shares=ALL_SUCCEED)
        fleet = asyncio.create_task(run_fleet([identity(name) for name in names], config, stopping))
        await asyncio.to_thread(words_of, gateway, lambda said: all("1.0.0" in said[name] for name in names))
        stopping.set()
        await fleet

    with connected(server(broker.port, "gw-net-fleet")) as (gateway,):
        gateway.subscribe(*topics.GATEWAY_FILTERS)
        run(short_life())
        words_of(gateway, lambda said: all(said[name] == [False] for name in names))
