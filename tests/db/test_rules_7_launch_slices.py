"""rules.md §7 "Matching and creating", the line that needs two launches at once, on PostgreSQL.

`test_races_launch.py` plays launches against everything else.
"""

import pytest

from batches_app.engine.launch import launch_once
from devices_app.models import Module
from tests.campaign import start
from tests.factories import NOW, make_devices, make_package, make_product, set_version
from tests.play import assert_counters_are_true
from tests.races import Side, assert_one_lane_each, counters_locked, writes_slices

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


def test_launch_slices_lock_the_device_rows_in_id_order_so_that_the_mixed_case_cannot_slip_through() -> None:
    """Launch slices lock the device rows in id order, so that the mixed case cannot slip through.

    No constraint could refuse it: one module in multi-module mode beside another one without it.
    """
    product = make_product()
    package = make_package(product)
    devices = make_devices(product, 40)
    mcu = Module.objects.create(product=product, name="MCU", created_at=NOW)
    for device in devices:
        set_version(device, "1.0", mcu)
    batches = [start(package, NOW), start(make_package(product, module=mcu), NOW, is_multi_module=True)]
    for batch in batches:
        launch_once(batch_id=batch.pk, now=NOW)
    with counters_locked(batches[0]):
        first = Side(writes_slices(batches[0]))
        first.wait_until_blocked()
        second = Side(writes_slices(batches[1]))
        second.wait_until_blocked()
    first.finish()
    second.finish()
    assert_one_lane_each(40)
    assert_counters_are_true()
