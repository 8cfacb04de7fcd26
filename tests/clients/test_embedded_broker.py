"""The embedded broker seen from its sockets: log-in, rights, delivery, presence, and what survives."""

import asyncio
import json
import socket
import ssl
from collections import defaultdict
from pathlib import Path

import pytest
from amqtt.mqtt.connect import ConnectPacket, ConnectPayload, ConnectVariableHeader

from devices_app.protocol import topics
from devices_app.protocol.credentials import registration_sign_of
from devices_app.simulator.device import Identity
from devices_app.simulator.network import Address, Network
from ota_console.demo.processes import Child, free_port
from tests.clients.conftest import Broker, broker_program
from tests.clients.console_stub import PRODUCT_KEY, PRODUCT_SECRET, running_console, secret_of
from tests.clients.mqtt import WAIT_SECONDS, Client, connected, device, server
from tests.servers import running

PK = PRODUCT_KEY
REPORT = b'{"id":1,"params":{"version":"1.0"}}'


def event_of(message: object) -> str:
    return str(json.loads(getattr(message, "payload"))["event"])  # noqa: B009 any message


def session_of(message: object) -> str:
    return str(json.loads(getattr(message, "payload"))["session"])  # noqa: B009 as above


def test_a_wrong_secret_is_refused(broker: Broker) -> None:
    """With the code for wrong credentials."""
    client = device(broker.port, "wrong1", secret="something else")
    assert client.connect() == "Bad user name or password"
    client.close()


def test_a_stranger_is_refused(broker: Broker) -> None:
    """A user name that is no device, and a gateway with a wrong secret."""
    for username in ("somebody", "ota-server"):
        client = Client(broker.port, client_id="x", username=username, password="guess")
        assert client.connect() == "Bad user name or password"
        client.close()


def test_a_push_comes_without_a_subscribe(broker: Broker) -> None:
    """To clients whose clientId says `_ss=1`: the push, the answer to a pull, a block of a file."""
    with connected(device(broker.port, "unasked1"), server(broker.port, "pub-unasked1")) as (dev, pub):
        for topic in topics.delivered_unasked(PK, "unasked1"):
            pub.publish(topic, b"\x00\xff", qos=1)
        assert dev.topics(3) == list(topics.delivered_unasked(PK, "unasked1"))


def test_without_ss_a_push_comes_after_a_subscribe_only(broker: Broker) -> None:
    """As with SDKs that subscribe by themselves."""
    topic = topics.upgrade(PK, "asking1")
    with connected(device(broker.port, "asking1", unasked=False), server(broker.port, "pub-asking1")) as (dev, pub):
        pub.publish(topic, qos=1)
        assert dev.is_quiet()
        assert dev.subscribe(topic, qos=0) == [0]
        pub.publish(topic, qos=1)
        assert dev.next().qos == 0


def test_a_device_is_granted_its_system_topics_and_refused_foreign_ones(broker: Broker) -> None:
    """The refusal is told for each filter; the connection stays."""
    own, foreign = f"/sys/{PK}/rights1/thing/#", f"/sys/{PK}/rights2/thing/#"
    with connected(device(broker.port, "rights1"), server(broker.port, "pub-rights1")) as (dev, pub):
        assert dev.subscribe(own, foreign, "#", "ota/presence/+/+") == [1, 128, 128, 128]
        pub.publish(f"/sys/{PK}/rights2/thing/x", qos=1)
        pub.publish(f"/sys/{PK}/rights1/thing/x", qos=1)
        assert dev.topics(1) == [f"/sys/{PK}/rights1/thing/x"]


def test_what_a_device_publishes_on_foreign_topics_reaches_nobody(broker: Broker) -> None:
    """Nor can it pretend to be the broker; the connection stays."""
    with connected(server(broker.port, "gw-foreign"), device(broker.port, "foreign1")) as (gateway, dev):
        gateway.subscribe("/ota/device/inform/+/foreign1", "/ota/device/inform/+/foreign2")
        dev.publish(topics.inform(PK, "foreign2"), REPORT, qos=1)
        dev.publish(topics.presence(PK, "foreign1"), REPORT, qos=1)
        dev.publish(topics.inform(PK, "foreign1"), REPORT, qos=1)
        assert gateway.topics(1) == [topics.inform(PK, "foreign1")]


def test_devices_do_not_hear_each_other(broker: Broker) -> None:
    """Nor themselves: what a device says is for the gateway."""
    with connected(device(broker.port, "mute1")) as (dev,):
        dev.subscribe(topics.legacy_request(PK, "mute1"))
        dev.publish(topics.legacy_request(PK, "mute1"), REPORT, qos=1)
        assert dev.is_quiet()


def test_a_gateway_that_vanished_gets_everything_again(broker: Broker) -> None:
    """QoS 0 reports, unacknowledged ones and those of the meantime, at QoS 1 and in order (interop.md)."""
    first = server(broker.port, "gw-kept", is_kept=True, acks=False)
    with connected(device(broker.port, "kept1")) as (dev,):
        assert first.connect() == "Success"
        first.subscribe("/ota/device/inform/+/kept1")
        for number in range(3):
            dev.publish(topics.inform(PK, "kept1"), b"%d" % number)
        assert [first.next().qos for _ in range(3)] == [1, 1, 1]
        first.vanish()
        dev.publish(topics.inform(PK, "kept1"), b"3")
        with connected(server(broker.port, "gw-kept", is_kept=True)) as (second,):
            again = [second.next() for _ in range(4)]
            assert [(message.payload, message.dup) for message in again] == [
                (b"0", True),
                (b"1", True),
                (b"2", True),
                (b"3", False),
            ]


def test_a_newer_log_in_takes_over(broker: Broker) -> None:
    """The session is the device's name; the late end of the old connection is told by its own session name."""
    with connected(server(broker.port, "gw-takeover")) as (gateway,):
        gateway.subscribe(topics.presence(PK, "twin1"))
        with connected(device(broker.port, "twin1")) as (old,):
            first = gateway.next()
            with connected(device(broker.port, "twin1", unasked=False)) as (_new,):
                assert old.is_down.wait(WAIT_SECONDS)
                events = [first, gateway.next(), gateway.next()]
                assert [event_of(e) for e in events] == ["connected", "connected", "disconnected"]
                assert session_of(events[2]) == session_of(first) != session_of(events[1])


def test_presence_stands_in_order_with_the_devices_own_messages(broker: Broker) -> None:
    """Also where a device reports at QoS 0 and leaves at once."""
    with connected(server(broker.port, "gw-order")) as (gateway,):
        gateway.subscribe("ota/presence/+/order1", "/ota/device/+/+/order1")
        dev = device(broker.port, "order1")
        assert dev.connect() == "Success"
        for _ in range(20):
            dev.publish(topics.inform(PK, "order1"), REPORT)
        dev.close()
        expected = [topics.presence(PK, "order1"), *[topics.inform(PK, "order1")] * 20, topics.presence(PK, "order1")]
        assert gateway.topics(22) == expected


def test_a_device_that_falls_silent_is_told_to_be_gone(broker: Broker) -> None:
    """After one and a half times its keep-alive, though its socket stays open."""
    with connected(server(broker.port, "gw-silent")) as (gateway,):
        gateway.subscribe(topics.presence(PK, "silent1"))
        dev = device(broker.port, "silent1")
        client_id, password = dev._paho._client_id.decode(), dev._paho.password
        payload = ConnectPayload(client_id, username="silent1&" + PK, password=password)
        packet = ConnectPacket(variable_header=ConnectVariableHeader(0xC2, 1), payload=payload)
        with socket.create_connection(("127.0.0.1", broker.port)) as raw:
            raw.sendall(packet.to_bytes())
            assert [event_of(gateway.next()), event_of(gateway.next())] == ["connected", "disconnected"]


def test_a_dynamic_registration_is_answered_to_that_connection(broker: Broker) -> None:
    """On `/ext/register`, which nobody subscribed."""
    sign = registration_sign_of(
        product_key=PK, device_name="newborn1", random="r1", product_secret=PRODUCT_SECRET, sign_method="hmacsha256"
    )
    client_id = f"newborn1.{PK}|random=r1,authType=register,securemode=2,signmethod=hmacsha256|"
    client = Client(broker.port, client_id=client_id, username=f"newborn1&{PK}", password=sign or "")
    with connected(client):
        message = client.next()
        assert message.topic == topics.REGISTER
        assert json.loads(message.payload)["deviceName"] == "newborn1"


def test_tls_with_the_demos_certificate(broker: Broker) -> None:
    """A client that trusts it connects by name and address; its key is nobody else's to read."""
    client = device(broker.tls_port, "tls1")
    assert client.connect(ca=broker.ca) == "Success"
    client.close()
    assert broker.ca.with_suffix(".key").stat().st_mode & 0o077 == 0
    stranger = ssl.create_default_context()
    with (
        socket.create_connection(("127.0.0.1", broker.tls_port)) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
        stranger.wrap_socket(raw, server_hostname="localhost"),
    ):
        pass


def test_garbage_harms_nobody(broker: Broker) -> None:
    """Whatever bytes come instead of a CONNECT, or after one."""
    for garbage in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff\xff", b"\xf0\x00", b"\x10\x02\x00"):
        with socket.create_connection(("127.0.0.1", broker.port)) as raw:
            raw.sendall(garbage)
    with connected(device(broker.port, "after1")):
        pass


def test_a_console_that_is_away_is_not_the_devices_fault(tmp_path: Path) -> None:
    """The device is told to come again later."""
    port = free_port()
    program = broker_program(port=port, tls_port=0, hook_url=f"http://127.0.0.1:{free_port()}", data=tmp_path)
    with running(program):
        client = device(port, "early1")
        assert client.connect() == "Server unavailable"
        client.close()


def test_what_devices_say_before_the_gateway_comes_is_held_for_it(tmp_path: Path) -> None:
    """After a restart of the broker devices are often back first; the gateway learns who is connected, too."""
    port = free_port()
    with running_console() as url, running(broker_program(port=port, tls_port=0, hook_url=url, data=tmp_path)):
        gone = device(port, "gone1")
        assert gone.connect() == "Success"
        gone.publish(topics.inform(PK, "gone1"), REPORT, qos=1)
        gone.close()
        with connected(device(port, "first1"), server(port, "gw-late")) as (_dev, gateway):
            gateway.subscribe(*topics.GATEWAY_FILTERS)
            presence, inform = topics.presence(PK, "gone1"), topics.inform(PK, "gone1")
            of_first = [topics.presence(PK, "first1")] * 2
            assert sorted(gateway.topics(5)) == sorted([presence, inform, presence, *of_first])


def test_a_broker_that_was_killed_says_who_is_gone_when_it_is_back(tmp_path: Path) -> None:
    """Else a device that never comes back would be shown online for ever; who is back was told to go first."""
    port = free_port()
    with running_console() as url:
        program = broker_program(port=port, tls_port=0, hook_url=url, data=tmp_path)
        with (
            running(program) as child,
            connected(device(port, "lost1"), device(port, "back1"), server(port, "gw")) as c,
        ):
            c[2].subscribe("ota/presence/+/+")
            sessions = {c[2].next().topic.rsplit("/", 1)[1] for _ in range(4)}
            assert sessions == {"lost1", "back1"}
            child.kill()
        with running(program), connected(device(port, "back1"), server(port, "gw")) as c:
            c[1].subscribe("ota/presence/+/+")
            events = [c[1].next() for _ in range(4)]
            of_back = [event_of(event) for event in events if event.topic.endswith("back1")]
            of_lost = [event_of(event) for event in events if event.topic.endswith("lost1")]
            assert (of_back, of_lost) == (["disconnected", "connected", "connected"], ["disconnected"])


def test_a_port_that_is_taken_gives_a_sentence(broker: Broker, tmp_path: Path) -> None:
    """And no traceback."""
    said: list[str] = []
    program = broker_program(port=broker.port, tls_port=0, hook_url="http://127.0.0.1:1", data=tmp_path)
    child = Child(program, lambda _name, line: said.append(line))
    assert child.process.wait(timeout=30) == 1
    child.kill()
    assert len(said) == 1
    assert said[0].startswith("The MQTT broker could not start: ")


@pytest.mark.slow
def test_two_hundred_devices_at_once_lose_nothing(broker: Broker) -> None:
    """Each connects, gets a push without a SUBSCRIBE, reports ten times at QoS 0 and leaves."""
    names = [f"crowd{number:03d}" for number in range(200)]
    with connected(server(broker.port, "gw-crowd"), server(broker.port, "pub-crowd")) as (gateway, publisher):
        gateway.subscribe(*topics.GATEWAY_FILTERS)
        asyncio.run(crowd(broker.port, names, publisher))
        seen: dict[str, list[str]] = defaultdict(list)
        while any(len(seen[name]) < 12 for name in names):
            message = gateway.next()
            name = message.topic.rsplit("/", 1)[1]
            seen[name].append(message.topic.split("/")[3] if message.topic[0] == "/" else event_of(message))
    expected = ["connected", *["progress"] * 10, "disconnected"]
    assert {tuple(seen[name]) for name in names} == {tuple(expected)}


async def crowd(port: int, names: list[str], publisher: Client) -> None:
    """Connect all, push to all, let all answer and leave."""
    barrier = asyncio.Barrier(len(names) + 1)

    async def one(network: Network, name: str) -> None:
        async with network.connect(Identity(PK, name, secret_of(name))) as link:
            await barrier.wait()
            await link.receive()
            for step in range(10):
                await link.publish(topics.progress(PK, name), f'{{"params":{{"step":{step}}}}}'.encode(), 0)

    everything = Network(Address("127.0.0.1", port), speed=1, downloads=1, seed=7)
    async with everything as network, asyncio.timeout(WAIT_SECONDS), asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(one(network, name))
        await barrier.wait()
        for name in names:
            await asyncio.to_thread(publisher.publish, topics.upgrade(PK, name), b"{}", 1)
