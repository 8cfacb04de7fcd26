"""Brokers without presence events: silence means offline, any message online (rules.md §5)."""

from datetime import timedelta

import pytest

from batches_app.engine.silence import end_silent_connections
from devices_app.models import Device
from tests.factories import NOW, make_batch, make_device, make_package, make_product, make_task

pytestmark = pytest.mark.django_db
SILENCE = timedelta(minutes=30)


def test_a_silent_device_is_offline_and_its_update_waits_for_it() -> None:
    """The update is due no more until the device is heard of again."""
    device = make_device(make_product(), last_seen_at=NOW - timedelta(minutes=31))
    task = make_task(make_batch(make_package(device.product)), device)
    assert not end_silent_connections(silence=SILENCE, now=NOW)
    device.refresh_from_db()
    task.refresh_from_db()
    assert (device.is_online, task.is_offline, task.due_at) == (False, True, None)


def test_a_device_heard_of_within_the_keep_alive_stays_online() -> None:
    """Assumed online unless silent longer than its keep-alive allows."""
    make_device(make_product(), last_seen_at=NOW - timedelta(minutes=29))
    end_silent_connections(silence=SILENCE, now=NOW)
    assert Device.objects.get().is_online
