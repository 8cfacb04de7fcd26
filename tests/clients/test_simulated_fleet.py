"""The simulated fleet as a process, against the embedded broker and a file server, pushed to by hand."""

import hashlib
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from devices_app.protocol import topics
from devices_app.protocol.parsing import parse
from devices_app.protocol.payloads import Notice, NoticeFile, Presence, ProgressReport, VersionReport, push
from devices_app.simulator.behaviour import Kind, behaviour, wrong_version
from ota_console.demo.processes import Child, Program, free_port, wait_until
from tests.clients.conftest import Broker, broker_program
from tests.clients.console_stub import PRODUCT_KEY, running_console, secret_of
from tests.clients.file_server import serving
from tests.clients.mqtt import Client, connected, server
from tests.servers import running

FIRMWARE = os.urandom(300_000)
SHARES: dict[Kind, float] = {kind: 10.0 for kind in Kind if kind is not Kind.SUCCEEDS}
"""A fleet in which every kind is common."""
SEED = 7

Fleet = Callable[..., Child]


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number:03d}" for number in range(count)]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Starts `manage.py simulate` with devices of a file; stopped at the end."""
    children: list[Child] = []

    def start(port: int, devices: Sequence[str], *arguments: str) -> Child:
        file = tmp_path / "devices.json"
        rows = [{"product_key": PRODUCT_KEY, "device_name": n, "device_secret": secret_of(n)} for n in devices]
        file.write_text(json.dumps(rows))
        shares = [part for kind, percent in SHARES.items() for part in ("--share", f"{kind.value}={percent}")]
        where = ["--file", str(file), "--port", str(port), "--speed", "200", "--seed", str(SEED)]
        command = [sys.executable, "manage.py", "simulate", *where, *shares, *arguments]
        children.append(Child(Program(name="simulator", command=command), lambda _name, _line: None))
        return children[-1]

    yield start
    for child in children:
        child.stop()


def notice(url: str) -> bytes:
    digest = hashlib.md5(FIRMWARE, usedforsecurity=False).hexdigest()
    return push(Notice("2.0.0", "MD5", (NoticeFile("firmware.bin", len(FIRMWARE), url, digest),)), 1)


def words_of(gateway: Client, is_enough: Callable[[dict[str, list[object]]], bool]) -> dict[str, list[object]]:
    """What each device said, until it is enough: steps, versions, and whether it came or went."""
    said: dict[str, list[object]] = defaultdict(list)
    while not is_enough(said):
        message = gateway.next()
        match parse(message.topic, bytes(message.payload)):
            case VersionReport() as report:
                said[report.device_name].append(report.version)
            case ProgressReport() as report:
                said[report.device_name].append(report.step)
            case Presence() as presence:
                said[presence.device_name].append(presence.is_connect)
    return said


def expected_of(name: str) -> list[object]:
    """The whole conversation, by the device's behaviour."""
    plan = behaviour(SEED, name, SHARES)
    online: list[object] = [True, "1.0.0"]
    failed = [step for step in (0, 25, 50, 75) if step <= plan.fails_at]
    match plan.kind:
        case Kind.SUCCEEDS | Kind.SLOW:
            return [*online, 0, 25, 50, 75, 100, False, True, "2.0.0"]
        case Kind.OFFLINE:
            return [*online, 0, 25, 50, False, *online, 75, 100, False, True, "2.0.0"]
        case Kind.WRONG_VERSION:
            return [*online, 0, 25, 50, 75, 100, False, True, wrong_version("2.0.0")]
        case Kind.UPDATE_FAILS | Kind.DOWNLOAD_FAILS:
            return [*online, *failed, plan.failure_code]
        case Kind.VERIFICATION_FAILS | Kind.FLASHING_FAILS:
            return [*online, 0, 25, 50, 75, plan.failure_code]
        case Kind.IGNORES:
            return online


@pytest.mark.slow
def test_each_device_of_a_fleet_says_what_its_behaviour_implies(broker: Broker, fleet: Fleet) -> None:
    """Sixty devices of all kinds; nothing is lost, nothing is out of order."""
    devices = names("fleet", 60)
    expected = {name: expected_of(name) for name in devices}
    assert {behaviour(SEED, name, SHARES).kind for name in devices} == set(Kind)
    with (
        serving(FIRMWARE) as url,
        connected(server(broker.port, "gw-fleet"), server(broker.port, "pub-fleet")) as (gateway, publisher),
    ):
        gateway.subscribe(*topics.GATEWAY_FILTERS)
        fleet(broker.port, devices)
        first = words_of(gateway, lambda said: all(len(said[name]) == 2 for name in devices))
        for name in devices:
            publisher.publish(topics.upgrade(PRODUCT_KEY, name), notice(url), qos=1)
        missing = {name: len(words) - 2 for name, words in expected.items()}
        rest = words_of(gateway, lambda said: all(len(said[name]) >= missing[name] for name in devices))
        assert gateway.is_quiet()
    assert {name: first[name] + rest[name] for name in devices} == expected


@pytest.mark.slow
def test_devices_come_back_after_the_broker_died(tmp_path: Path, fleet: Fleet) -> None:
    """They wait and try again, and report their versions."""
    devices = names("back", 10)
    port = free_port()
    with running_console() as url:
        program = broker_program(port=port, tls_port=0, hook_url=url, data=tmp_path)
        with running(program) as child, connected(server(port, "gw-back-1")) as (gateway,):
            gateway.subscribe(*topics.GATEWAY_FILTERS)
            fleet(port, devices)
            words_of(gateway, lambda said: all("1.0.0" in said[name] for name in devices))
            child.kill()
        with running(program), connected(server(port, "gw-back-2")) as (gateway,):
            gateway.subscribe(*topics.GATEWAY_FILTERS)
            words_of(gateway, lambda said: all("1.0.0" in said[name] for name in devices))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_fleet_that_is_told_to_stop_says_goodbye(broker: Broker, fleet: Fleet, number: signal.Signals) -> None:
    """Every device disconnects, and the process ends without a complaint."""
    devices = names(f"bye{number}", 20)
    with connected(server(broker.port, f"gw-bye-{number}")) as (gateway,):
        gateway.subscribe(*[topics.presence(PRODUCT_KEY, name) for name in devices])
        child = fleet(broker.port, devices)
        words_of(gateway, lambda said: all(said[name] == [True] for name in devices))
        child.process.send_signal(number)
        words_of(gateway, lambda said: all(said[name] == [False] for name in devices))
        assert wait_until(lambda: child.exit_code is not None, 60)
        assert child.exit_code == 0
