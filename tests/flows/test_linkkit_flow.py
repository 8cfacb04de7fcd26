"""The unmodified vendor SDK through the whole server: from a wrong secret to Updated (interop.md, "Device SDKs")."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batches_app.domain.states import BatchStatus, EventKind, TaskStatus
from batches_app.models import Batch, Task, TaskEvent
from devices_app.models import Device
from tests.clients.test_linkkit import download
from tests.clients.vendor_sdk import linkkit_device
from tests.factories import make_device, make_package, make_product
from tests.flows.rig import Rig, rig

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.sqlite]
FIRMWARE = os.urandom(400_000)
NAME = "sdk-meter-1"


@pytest.fixture
def device(transactional_db: None) -> Device:
    """Never seen. It has a simulated neighbour, which no batch touches."""
    product = make_product()
    offline: dict[str, Any] = {"version": "", "is_online": False, "session": "", "activated_at": None}
    make_device(product, name="neighbour", **offline)
    return make_device(product, name=NAME, **offline)


@pytest.fixture
def server(device: Device, tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path / "stack", fleet=("--devices", "1")) as running:
        yield running


def settings_of(device: Device, server: Rig, secret: str = "") -> dict[str, object]:
    return {
        "port": server.stack.config.ports.mqtt,
        "product_key": device.product.product_key,
        "device_name": device.name,
        "device_secret": secret or device.secret,
    }


def has_version(device: Device, version: str) -> bool:
    return Device.objects.filter(pk=device.pk, is_online=True, versions__version=version).exists()


def test_the_vendors_sdk_ends_updated(device: Device, server: Rig, tmp_path: Path) -> None:
    """Refused, let in, pushed without a SUBSCRIBE, downloaded, digest right, progress, new version; the link dies."""
    with linkkit_device(**settings_of(device, server, "another secret")) as stranger:
        assert stranger.wait_for("connack")["code"] == 4
    package = make_package(device.product, version="2.0", content=FIRMWARE)
    with linkkit_device(**settings_of(device, server)) as sdk:
        assert sdk.wait_for("connected")["code"] == 0
        sdk.order("version", "", "1.0")
        server.until(lambda: has_version(device, "1.0"), "the version arrives")
        tags = [{"key": "line", "value": "7"}]
        server.post("batches/", package=package.public_id, target="SPECIFIC", device_names=[NAME], tags=tags)
        told = sdk.wait_for("ota")
        assert (told["version"], told["module"], told["extra"]) == ("2.0", "default", str({"line": "7"}))
        assert download(sdk, told, tmp_path / "firmware.bin") == 0
        assert (tmp_path / "firmware.bin").read_bytes() == FIRMWARE
        sdk.order("progress", 100)
        sdk.order("version", "", "2.0")
        task = Task.objects.get(device=device)
        server.until(lambda: Task.objects.filter(pk=task.pk, status=TaskStatus.SUCCEEDED).exists(), "it is Updated")
        server.until(lambda: Batch.objects.get().status == BatchStatus.COMPLETED, "the batch is Completed")
        kinds = TaskEvent.objects.filter(task=task).order_by("id").values_list("kind", flat=True)
        assert [EventKind(kind) for kind in kinds] == [EventKind.PUSHED, EventKind.PROGRESS, EventKind.VERSION]
        assert download(sdk, told, tmp_path / "again.bin") != 0
