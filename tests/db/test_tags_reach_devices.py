"""Seed: device notifications use the new tags within one minute. Here: from the next push or pull on."""

from datetime import datetime, timedelta

import orjson
import pytest

from batches_app.commands.edit import BatchEdit, edit_batch
from batches_app.engine import dispatch
from batches_app.models import Batch
from devices_app.models import Device
from tests.campaign import OPERATOR, launch
from tests.factories import NOW, make_device, make_devices, make_package, make_product
from tests.fakes import FakePublisher
from tests.play import pull, said

pytestmark = pytest.mark.django_db

SOON = NOW + timedelta(seconds=1)


@pytest.fixture
def device() -> Device:
    return make_device(make_product())


@pytest.fixture
def batch(device: Device) -> Batch:
    """One device a minute, told of wave 1; edited to wave 2."""
    make_devices(device.product, 1)
    launched = launch(make_package(device.product), NOW, tags=(("wave", "1"),))
    assert told(launched, NOW, limit=1) == [{"wave": "1"}]
    edit_batch(
        batch=launched.public_id, edit=BatchEdit(tags=[("wave", "2"), ("site", "pier")]), actor=OPERATOR, now=SOON
    )
    return launched


def told(batch: Batch, at: datetime, *, limit: int) -> list[dict[str, str]]:
    """What the next notifications say."""
    publisher = FakePublisher()
    dispatch.dispatch_once(batch_id=batch.pk, publisher=publisher, limit=limit, clock=lambda: at)
    return [orjson.loads(payload)["data"]["extData"] for _, payload, _ in publisher.sent]


def test_the_next_push_carries_the_new_tags(batch: Batch) -> None:
    """All of them, and only those."""
    assert told(batch, SOON, limit=1) == [{"wave": "2", "site": "pier"}]


def test_the_next_pull_is_answered_with_the_new_tags(batch: Batch, device: Device) -> None:
    """Also for a device that was told of the old ones."""
    ((_, answer),) = said(pull(device), at=SOON).replies
    assert orjson.loads(answer)["data"]["extData"] == {"wave": "2", "site": "pier"}
