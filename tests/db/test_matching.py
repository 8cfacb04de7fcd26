"""Dynamic batches: which devices get a task after the launch, and which do not (rules.md §7).

This file is long because it is one thing: one queue and what becomes of its rows.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from batches_app.commands.cancel import cancel_batch, cancel_tasks
from batches_app.commands.edit import BatchEdit, edit_batch
from batches_app.domain.states import BatchStatus, TaskStatus
from batches_app.engine.ingest import ingest
from batches_app.engine.launch import launch_once
from batches_app.engine.matching import match_once
from batches_app.engine.reconcile import look_for_matches
from batches_app.models import Batch, MatchRequest, Task
from batches_app.sql import matching as match_sql
from batches_app.sql.tasks import request_matches
from devices_app.models import Device, DeviceGroup, Product
from devices_app.protocol.payloads import ProgressReport, VersionReport
from ota_console.core.clock import FakeClock
from ota_console.core.ids import new_public_id
from packages_app.models import UpdatePackage
from tests.campaign import DYNAMIC, OPERATOR, OVERWRITE, counts_of, launch, match, start, tasks_of, write_tasks
from tests.factories import NOW, make_batch, make_device, make_devices, make_package, make_product, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> FakeClock:
    """An hour after the fleet reported."""
    return FakeClock(NOW + timedelta(hours=1))


@pytest.fixture
def product() -> Product:
    return make_product()


@pytest.fixture
def package(product: Product) -> UpdatePackage:
    return make_package(product)


def report(device: Device, version: str, now: datetime) -> None:
    """The device reports, the gateway applies it, and the matching runs a second later."""
    with transaction.atomic():
        ingest([VersionReport(device.product.product_key, device.name, "default", version)], now)
    match(now + timedelta(seconds=1))


def fail(device: Device, now: datetime) -> None:
    """The device's update is pushed and fails for good."""
    Task.objects.filter(device=device, status=TaskStatus.QUEUED).update(push_no=1)
    with transaction.atomic():
        ingest([ProgressReport(device.product.product_key, device.name, "default", -1, "")], now)
    match(now + timedelta(seconds=1))


def policy(package: UpdatePackage, now: datetime, **values: Any) -> Batch:
    """A running dynamic batch for devices on 1.0."""
    chosen = {} if "group" in values else {"source_versions": ("1.0",)}
    return launch(package, now, selection=DYNAMIC, **(chosen | values))


def test_a_later_report_is_a_match(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """Vendor reference §2.3: devices whose later version report meets the condition."""
    device = make_device(product, version="0.9")
    batch = policy(package, clock(), timeout_minutes=30)
    report(device, "1.0", clock.advance(minutes=1))
    task = Task.objects.get()
    assert (task.match_no, task.status, task.source_version, task.timeout_minutes) == (1, TaskStatus.QUEUED, "1.0", 30)
    assert counts_of(batch) == {"queued": 1}
    assert not MatchRequest.objects.exists()


def test_a_report_of_another_version_is_none(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """The request is answered and gone."""
    device = make_device(product, version="0.9")
    batch = policy(package, clock())
    report(device, "0.95", clock.advance(minutes=1))
    assert (tasks_of(batch), MatchRequest.objects.count()) == ([], 0)


def test_a_device_that_comes_back_is_matched_again(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """A new task for each match (rules.md §7)."""
    device = make_device(product)
    batch = policy(package, clock())
    report(device, "2.0", clock.advance(minutes=1))
    report(device, "1.0", clock.advance(minutes=1))
    assert list(Task.objects.order_by("pk").values_list("match_no", flat=True)) == [1, 2]
    assert counts_of(batch) == {"queued": 1, "succeeded": 1}


def test_at_most_ten_times(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """Vendor reference §2.3."""
    device = make_device(product)
    batch = policy(package, clock())
    for _ in range(12):
        report(device, "2.0", clock.advance(minutes=1))
        report(device, "1.0", clock.advance(minutes=1))
    assert counts_of(batch) == {"succeeded": 10}


def test_one_report_is_one_match(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """A failed update does not start over by itself when its lane is free again."""
    device = make_device(product)
    batch = policy(package, clock())
    fail(device, clock.advance(minutes=1))
    assert counts_of(batch) == {"failed": 1}


def test_not_after_an_operator_canceled_the_device(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """rules.md §7: no re-match, whatever it reports."""
    device = make_device(product)
    batch = policy(package, clock())
    cancel_tasks(tasks=[Task.objects.get().public_id], actor=OPERATOR, now=clock.advance(minutes=1))
    report(device, "0.9", clock.advance(minutes=1))
    report(device, "1.0", clock.advance(minutes=1))
    assert counts_of(batch) == {"canceled": 1}


def test_a_busy_device_waits_and_is_looked_at_again(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """No CONFLICT row for a later match; its lane queues it when it is free."""
    device = make_device(product, version="0.9")
    batch = policy(package, clock())
    other = make_batch(make_package(product, version="3.0"))
    task = make_task(other, device)
    report(device, "1.0", clock.advance(minutes=1))
    assert tasks_of(batch) == []
    cancel_tasks(tasks=[task.public_id], actor=OPERATOR, now=clock.advance(minutes=1))
    match(clock.advance(minutes=1))
    assert tasks_of(batch) == [(device.name, "QUEUED")]


def test_a_waiting_update_is_overwritten_by_a_match(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """Where the policy says so, and the older one is not Upgrading."""
    device = make_device(product, version="0.9")
    batch = policy(package, clock(), busy_policy=OVERWRITE)
    other = make_batch(make_package(product, version="3.0"))
    make_task(other, device)
    report(device, "1.0", clock.advance(minutes=1))
    assert counts_of(batch) == {"queued": 1}
    assert counts_of(other) == {"canceled": 1}


def test_the_latest_launched_wins(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """Several packages' policies match the device."""
    device = make_device(product, version="0.9")
    first = policy(package, clock())
    second = policy(make_package(product, version="3.0"), clock.advance(minutes=1))
    report(device, "1.0", clock.advance(minutes=1))
    assert (tasks_of(first), tasks_of(second)) == ([], [(device.name, "QUEUED")])


def test_an_older_policy_gets_what_the_latest_does_not_want(
    product: Product, package: UpdatePackage, clock: FakeClock
) -> None:
    """Its condition does not hold."""
    device = make_device(product, version="0.9")
    first = policy(package, clock())
    policy(make_package(product, version="3.0"), clock.advance(minutes=1), source_versions=("1.7",))
    report(device, "1.0", clock.advance(minutes=1))
    assert tasks_of(first) == [(device.name, "QUEUED")]


def test_mode_two_wants_a_version_reported_afterwards(
    product: Product, package: UpdatePackage, clock: FakeClock
) -> None:
    """Vendor reference §2.3: not the present one, also when the device is looked at for another reason."""
    old, new = make_device(product), make_device(product, version="0.9")
    batch = policy(package, clock(), dynamic_mode=2)
    request_matches([(old.pk, batch.module_id)], is_new_version=False, now=clock.advance(minutes=1))
    report(new, "1.0", clock.advance(minutes=1))
    assert tasks_of(batch) == [(new.name, "QUEUED")]


def test_a_group_based_policy_takes_newly_connected_devices(
    product: Product, package: UpdatePackage, clock: FakeClock
) -> None:
    """They need not report any version for a full package."""
    group = DeviceGroup.objects.create(
        public_id=new_public_id(),
        name="north",
        kind=DeviceGroup.Kind.DYNAMIC,
        product=product,
        filter={"name_prefix": "north"},
        created_at=clock(),
    )
    batch = policy(package, clock(), group=group.public_id)
    devices = [make_device(product, version="", name=name) for name in ("north-1", "south-1")]
    request_matches([(d.pk, batch.module_id) for d in devices], is_new_version=False, now=clock.advance(minutes=1))
    match(clock())
    match(clock.advance(minutes=1))
    assert tasks_of(batch) == [("north-1", "QUEUED")]


def test_edited_source_versions_hold_for_later_matches(
    product: Product, package: UpdatePackage, clock: FakeClock
) -> None:
    """rules.md §7."""
    device = make_device(product, version="0.9")
    batch = policy(package, clock())
    edit = BatchEdit(source_versions=["1.1"], timeout_minutes=45)
    edit_batch(batch=batch.public_id, edit=edit, actor=OPERATOR, now=clock())
    report(device, "1.0", clock.advance(minutes=1))
    report(device, "1.1", clock.advance(minutes=1))
    assert Task.objects.get().timeout_minutes == 45


def test_nothing_is_matched_after_the_policy_was_canceled(
    product: Product, package: UpdatePackage, clock: FakeClock
) -> None:
    """rules.md §3."""
    device = make_device(product, version="0.9")
    batch = policy(package, clock())
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=clock())
    report(device, "1.0", clock.advance(minutes=1))
    assert tasks_of(batch) == []


def test_a_match_waits_while_its_state_is_being_canceled(
    product: Product, package: UpdatePackage, clock: FakeClock
) -> None:
    """The request stays until the cancel is through."""
    device = make_device(product, version="0.9")
    batch = policy(package, clock())
    Batch.objects.filter(pk=batch.pk).update(cancel_mask=1 << TaskStatus.QUEUED)
    report(device, "1.0", clock.advance(minutes=1))
    assert (tasks_of(batch), MatchRequest.objects.count()) == ([], 1)
    Batch.objects.filter(pk=batch.pk).update(cancel_mask=0)
    match(clock())
    assert (len(tasks_of(batch)), MatchRequest.objects.count()) == (1, 0)


def test_the_launch_does_not_take_a_device_twice(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """A device that was matched by its own report before the launch reached it."""
    device = make_device(product, version="0.9")
    batch = start(package, clock(), selection=DYNAMIC, source_versions=("1.0",))
    launch_once(batch_id=batch.pk, now=clock())
    report(device, "1.0", clock.advance(minutes=1))
    write_tasks(batch, clock.advance(minutes=1))
    assert counts_of(batch) == {"queued": 1}


def test_a_disabled_device_is_not_matched(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """It cannot connect."""
    device = make_device(product, is_enabled=False)
    batch = policy(package, clock())
    request_matches([(device.pk, batch.module_id)], is_new_version=True, now=clock())
    match(clock.advance(minutes=1))
    assert tasks_of(batch) == []


def test_a_request_that_was_renewed_meanwhile_stays(
    product: Product, package: UpdatePackage, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that arrives while the matching runs is not lost."""
    device = make_device(product, version="0.9")
    batch = policy(package, clock())
    request_matches([(device.pk, batch.module_id)], is_new_version=True, now=clock())
    renewed_at = clock.advance(minutes=1)

    def renew(*_: object) -> set[int]:
        request_matches([(device.pk, batch.module_id)], is_new_version=True, now=renewed_at)
        return set()

    monkeypatch.setattr("batches_app.engine.matching._match_module", renew)
    match_once(now=clock())
    assert MatchRequest.objects.get().requested_at == renewed_at


def test_a_device_that_nobody_asked_about_is_found(product: Product, package: UpdatePackage, clock: FakeClock) -> None:
    """Every wait has a sweeper (architecture)."""
    batch = policy(package, clock())
    missed, busy = make_devices(product, 2)
    make_task(make_batch(make_package(product, version="3.0")), busy)
    assert look_for_matches(batch_id=batch.pk, after=0, now=clock.advance(minutes=1)) is None
    assert MatchRequest.objects.get().device_id == missed.pk
    match(clock())
    assert tasks_of(batch) == [(missed.name, "QUEUED")]
    look_for_matches(batch_id=batch.pk, after=0, now=clock.advance(minutes=1))
    assert not MatchRequest.objects.exists()


@pytest.mark.parametrize("values", [{"status": BatchStatus.CANCELED}, {"selection": Batch.Selection.STATIC}])
def test_only_running_policies_look_for_devices(package: UpdatePackage, now: datetime, values: dict[str, Any]) -> None:
    """Others match nobody."""
    batch = make_batch(package, **({"selection": DYNAMIC} | values))
    assert look_for_matches(batch_id=batch.pk, after=0, now=now) is None


def test_many_requests_in_a_bounded_number_of_queries(
    product: Product, package: UpdatePackage, clock: FakeClock
) -> None:
    """Set-based: the number depends on the batches, not on the devices."""
    batch = policy(package, clock())
    devices = make_devices(product, 300)
    clock.advance(minutes=1)
    request_matches([(d.pk, batch.module_id) for d in devices], is_new_version=True, now=clock())
    with CaptureQueriesContext(connection) as queries:
        assert not match_once(now=clock())
    assert counts_of(batch) == {"queued": 300}
    assert len(queries) <= 15


def test_a_policy_that_is_canceled_meanwhile_takes_nobody(
    product: Product, package: UpdatePackage, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at again under the batch's lock; an older policy may have the device."""
    device = make_device(product, version="0.9")
    batch = policy(package, clock())
    look = match_sql.devices_in

    def cancel_first(*scope: Any) -> list[int]:
        Batch.objects.filter(pk=batch.pk).update(status=BatchStatus.CANCELED)
        return look(*scope)

    monkeypatch.setattr(match_sql, "devices_in", cancel_first)
    report(device, "1.0", clock.advance(minutes=1))
    assert tasks_of(batch) == []
