"""A device is disabled and enabled while it is connected, with the processes of the demo (rules.md §5)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batches_app.domain.states import QUEUED, SUCCEEDED
from batches_app.models import Task
from devices_app.models import Device, Product
from tests.factories import make_device, make_package, make_product
from tests.flows.rig import Rig, rig

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.sqlite]
# one share given, all others are none: every device ends updated
FLEET = ("--devices", "2", "--seed", "1", "--speed", "10", "--initial-version", "1.0", "--share", "slow=0")


@pytest.fixture
def product(transactional_db: None) -> Product:
    """With two devices that were never there."""
    product = make_product()
    offline: dict[str, Any] = {"version": "", "is_online": False, "session": "", "activated_at": None}
    for name in ("meter-a", "meter-b"):
        make_device(product, name=name, **offline)
    return product


@pytest.fixture
def server(product: Product, tmp_path: Path) -> Iterator[Rig]:
    """Both are online, on 1.0."""
    with rig(tmp_path / "stack", fleet=FLEET) as running:
        running.until(lambda: Device.objects.filter(is_online=True, versions__version="1.0").count() == 2, "online")
        yield running


def said(server: Rig, *words: str) -> bool:
    return any(all(word in line for word in words) for line in server.lines)


def test_a_disabled_device_is_shut_out_and_updated_once_it_is_enabled(product: Product, server: Rig) -> None:
    """The broker ends its session and refuses it; its update waits for it and goes on by itself."""
    out, other = product.devices.order_by("name")
    batch = server.post("batches/", package=make_package(product).public_id, needs_confirm=True)["id"]
    tasks = Task.objects.filter(batch__public_id=batch)
    server.until(lambda: tasks.count() == 2, "the tasks are written")
    assert server.post(f"devices/{out.public_id}/disable/")["is_online"] is False
    server.until(lambda: said(server, "broker", "session_ended", out.name), "its session ends")
    server.until(lambda: said(server, "web", "login_refused", out.name, "disabled"), "it is refused")
    server.post("tasks/confirm/", tasks=list(tasks.values_list("public_id", flat=True)))
    server.until(lambda: tasks.get(device=other).status == SUCCEEDED, "the other one is updated")
    task = tasks.get(device=out)
    assert (task.status, task.is_offline, task.due_at, task.push_no) == (QUEUED, True, None, 0)
    server.post(f"devices/{out.public_id}/enable/")
    server.until(lambda: tasks.get(device=out).status == SUCCEEDED, "it comes back and is updated")
