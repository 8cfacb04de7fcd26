"""The unmodified `aliyun-iot-linkkit` SDK against the embedded broker (interop.md)."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from devices_app.protocol import topics
from devices_app.protocol.parsing import parse
from devices_app.protocol.payloads import (
    Inbound,
    Notice,
    NoticeFile,
    ProgressReport,
    PullRequest,
    VersionReport,
    empty_get_reply,
    get_reply,
    push,
)
from tests.clients.conftest import Broker
from tests.clients.console_stub import PRODUCT_KEY, PRODUCT_SECRET, secret_of
from tests.clients.file_server import serving
from tests.clients.mqtt import Client, connected, server
from tests.clients.vendor_sdk import LinkkitDevice, linkkit_device

pytestmark = pytest.mark.slow
PK = PRODUCT_KEY
FIRMWARE = os.urandom(200_000)


def known(broker: Broker, name: str, secret: str = "") -> dict[str, object]:
    """Settings of a device with its own secret."""
    return {"port": broker.port, "product_key": PK, "device_name": name, "device_secret": secret or secret_of(name)}


def notice(url: str, method: str = "MD5", **values: object) -> Notice:
    md5 = hashlib.md5(FIRMWARE, usedforsecurity=False).hexdigest()
    file = NoticeFile("firmware.bin", len(FIRMWARE), url, md5, hashlib.sha256(FIRMWARE).hexdigest())
    return Notice("2.0.0", method, (file,), **values)  # type: ignore[arg-type]  # a test's own keywords


def said(gateway: Client) -> Inbound:
    """What the device said next."""
    message = gateway.next()
    return parse(message.topic, bytes(message.payload))


def download(device: LinkkitDevice, told: dict[str, str], path: Path) -> int:
    """The SDK's own result: 0 if the digest matches."""
    device.order("download", told["url"], str(path), told["method"], told["sign"])
    return int(device.wait_for("downloaded")["code"])


def test_it_is_refused_with_a_wrong_secret(broker: Broker) -> None:
    """4: bad user name or password. It tries again by itself."""
    with linkkit_device(**known(broker, "sdk-wrong", "another")) as device:
        assert device.wait_for("connack")["code"] == 4


@pytest.mark.parametrize("method", ["MD5", "SHA256"])
def test_it_updates_by_a_push_that_it_never_subscribed(broker: Broker, tmp_path: Path, method: str) -> None:
    """Connects, reports, is pushed, downloads, finds the digest right, reports progress and the new version."""
    name = f"sdk-push-{method}"
    with (
        serving(FIRMWARE) as url,
        connected(server(broker.port, f"gw-{name}")) as (gateway,),
        linkkit_device(**known(broker, name)) as device,
    ):
        gateway.subscribe(f"/ota/device/+/{PK}/{name}")
        assert device.wait_for("connected")["code"] == 0
        device.order("version", "", "1.0.0")
        assert said(gateway) == VersionReport(PK, name, "default", "1.0.0")
        tags = {"line": "7"}
        gateway.publish(topics.upgrade(PK, name), push(notice(url, method, tags=tags), 1626969597470), qos=1)
        told = device.wait_for("ota")
        assert (told["kind"], told["version"], told["module"], told["size"]) == (1, "2.0.0", "default", len(FIRMWARE))
        assert told["extra"] == str(tags)
        gateway.next()  # our own push: the gateway of this test listens to every topic of the device
        assert download(device, told, tmp_path / "firmware.bin") == 0
        assert (tmp_path / "firmware.bin").read_bytes() == FIRMWARE
        device.order("progress", 100)
        assert said(gateway) == ProgressReport(PK, name, "default", 100, "")
        device.order("version", "", "2.0.0")
        assert said(gateway) == VersionReport(PK, name, "default", "2.0.0")


def test_it_pulls_and_is_answered_without_a_subscribe(broker: Broker) -> None:
    """With its own module; an empty answer is ignored."""
    name = "sdk-pull"
    topic = topics.firmware_get_reply(PK, name)
    with (
        connected(server(broker.port, "gw-sdk-pull")) as (gateway,),
        linkkit_device(**known(broker, name)) as device,
    ):
        gateway.subscribe(topics.firmware_get(PK, name))
        device.wait_for("connected")
        device.order("pull", "MCU")
        request = said(gateway)
        assert isinstance(request, PullRequest)
        assert request.module == "MCU"
        gateway.publish(topic, empty_get_reply(request.id), qos=1)
        gateway.publish(topic, get_reply(notice("http://h/x", module="MCU"), request.id), qos=1)
        told = device.wait_for("ota")
        assert (told["kind"], told["version"], told["module"]) == (2, "2.0.0", "MCU")


def test_a_wrong_digest_is_found_by_the_device(broker: Broker, tmp_path: Path) -> None:
    """The SDK compares exactly, so a right one is lower-case hex by the spelling that it knows."""
    name = "sdk-digest"
    with (
        serving(FIRMWARE + b"x") as url,
        connected(server(broker.port, "pub-sdk-digest")) as (publisher,),
        linkkit_device(**known(broker, name)) as device,
    ):
        device.wait_for("connected")
        publisher.publish(topics.upgrade(PK, name), push(notice(url), 1), qos=1)
        assert download(device, device.wait_for("ota"), tmp_path / "firmware.bin") != 0


def test_it_registers_by_its_products_secret(broker: Broker) -> None:
    """Over MQTT; it is told its own secret and leaves."""
    settings = {"product_secret": PRODUCT_SECRET, "auth_type": "register", "device_secret": ""}
    with linkkit_device(**known(broker, "sdk-newborn") | settings) as device:
        told = device.wait_for("registered")
        assert (told["code"], told["secret"]) == (0, secret_of("sdk-newborn"))


def test_a_second_device_of_its_name_takes_over(broker: Broker) -> None:
    """Then the first comes back and takes over again: the SDK does not give up."""
    with (
        connected(server(broker.port, "gw-sdk-twin")) as (gateway,),
        linkkit_device(**known(broker, "sdk-twin")) as first,
    ):
        gateway.subscribe(topics.presence(PK, "sdk-twin"))
        first.wait_for("connected")
        with linkkit_device(**known(broker, "sdk-twin")) as second:
            second.wait_for("connected")
            first.wait_for("disconnected")
            events = [json.loads(gateway.next().payload)["event"] for _ in range(3)]
            assert events == ["connected", "connected", "disconnected"]
