"""Races played on purpose, with threads and barriers, on PostgreSQL: SQLite has one writer and nothing to race."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, transaction

from batches_app.commands.cancel import cancel_batch, cancel_tasks_by_state
from batches_app.commands.confirm import confirm_tasks, reupgrade_tasks
from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.engine.cancel import cancel_once
from batches_app.engine.ingest import ingest
from batches_app.engine.launch import launch_once
from batches_app.engine.matching import match_once
from batches_app.engine.steps import again
from batches_app.models import Batch, Task
from batches_app.sql.tasks import request_matches
from devices_app.models import Device, Module, Product
from devices_app.protocol.payloads import Inbound, Presence, ProgressReport
from tests.campaign import DYNAMIC, OPERATOR, OVERWRITE, carry_out_cancel, counts_of, start
from tests.factories import NOW, make_batch, make_devices, make_package, make_product, make_task

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
LATER = NOW + timedelta(hours=1)
FLEET = 60
SLICE = 7


def together(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own with a connection of its own; all start at once."""
    barrier = threading.Barrier(len(works))
    failures: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            barrier.wait()
            work()
        except BaseException as failure:  # noqa: BLE001 - told to the test
            failures.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures, failures


def write(batch: Batch) -> None:
    while again(partial(launch_once, batch_id=batch.pk, now=LATER, slice_size=SLICE)):
        pass


def carry_out(batch: Batch) -> None:
    while again(partial(cancel_once, batch_id=batch.pk, now=LATER, slice_size=SLICE)):
        pass


def said(messages: Iterable[Inbound]) -> None:
    """One micro-batch a message, so that many transactions meet the others."""

    def apply(message: Inbound) -> None:
        with transaction.atomic():
            ingest([message], LATER)

    for message in messages:
        again(partial(apply, message))


def open_tasks() -> Counter[int]:
    return Counter(Task.objects.filter(status__lt=TaskStatus.SUCCEEDED).values_list("device", flat=True))


@pytest.fixture
def product() -> Product:
    return make_product()


@pytest.fixture
def devices(product: Product) -> list[Device]:
    return make_devices(product, FLEET)


def test_two_launches_over_the_same_devices(product: Product, devices: list[Device]) -> None:
    """Each device has one unfinished update; in the other batch it failed at once as a conflict."""
    first, second = start(make_package(product), LATER), start(make_package(product, version="3.0"), LATER)
    together(partial(write, first), partial(write, second))
    assert set(open_tasks().values()) == {1}
    counts = [counts_of(first), counts_of(second)]
    assert sum(c.get("queued", 0) for c in counts) == FLEET
    assert sum(c.get("failed", 0) for c in counts) == FLEET


def test_two_launches_that_overwrite(product: Product, devices: list[Device]) -> None:
    """The one that comes second to a device wins it."""
    first, second = (
        start(make_package(product, version=version), LATER, busy_policy=OVERWRITE) for version in ("2.0", "3.0")
    )
    together(partial(write, first), partial(write, second))
    assert open_tasks() == Counter({device.pk: 1 for device in devices})
    counts = [counts_of(first), counts_of(second)]
    assert sum(c.get("canceled", 0) for c in counts) == FLEET


def test_the_same_launch_by_two_workers(product: Product, devices: list[Device]) -> None:
    """Each slice is written once."""
    batch = start(make_package(product), LATER)
    together(partial(write, batch), partial(write, batch), partial(write, batch))
    batch.refresh_from_db()
    assert (batch.launch_state, batch.launch_written_count) == (Batch.LaunchState.DONE, FLEET)
    assert counts_of(batch) == {"queued": FLEET}


def test_lanes_of_both_kinds_at_once(product: Product, devices: list[Device]) -> None:
    """A batch without multi-module mode and one with it never both hold a device (rules.md §7)."""
    camera = Module.objects.create(product=product, name="camera", created_at=NOW)
    plain = start(make_package(product), LATER)
    modular = start(make_package(product, module=camera), LATER, is_multi_module=True)
    together(partial(write, plain), partial(write, modular))
    assert open_tasks() == Counter({device.pk: 1 for device in devices})
    assert counts_of(plain).get("queued", 0) + counts_of(modular).get("queued", 0) == FLEET


@pytest.mark.parametrize("attempt", range(3))
def test_cancel_against_launch(product: Product, devices: list[Device], attempt: int) -> None:
    """Cancel wins: whichever slice it meets, nothing is left unfinished."""
    batch = start(make_package(product), LATER)
    for _ in range(attempt * 3):
        launch_once(batch_id=batch.pk, now=LATER, slice_size=SLICE)

    def cancel() -> None:
        again(partial(cancel_batch, batch=batch.public_id, actor=OPERATOR, now=LATER))
        carry_out(batch)

    together(partial(write, batch), cancel)
    carry_out_cancel(batch, LATER)
    assert (batch.status, batch.cancel_mask) == (BatchStatus.CANCELED, 0)
    assert not open_tasks()
    assert set(counts_of(batch)) <= {"canceled"}


def test_cancel_by_state_against_launch(product: Product, devices: list[Device]) -> None:
    """What is asked holds for everything that the launch still writes."""
    batch = start(make_package(product), LATER)

    def cancel() -> None:
        states = [TaskStatus.QUEUED]
        again(partial(cancel_tasks_by_state, batch=batch.public_id, states=states, actor=OPERATOR, now=LATER))

    together(partial(write, batch), cancel)
    carry_out_cancel(batch, LATER)
    assert counts_of(batch) == {"canceled": FLEET}


def test_cancel_against_the_devices_progress(product: Product, devices: list[Device]) -> None:
    """A task that starts to upgrade while its batch is canceled is canceled too, and counted once."""
    batch = make_batch(make_package(product))
    for device in devices:
        make_task(batch, device, TaskStatus.NOTIFIED)
    key = product.product_key
    reports = [ProgressReport(key, device.name, "default", 10, "") for device in devices]

    def cancel() -> None:
        again(partial(cancel_batch, batch=batch.public_id, actor=OPERATOR, now=LATER))
        carry_out(batch)

    together(cancel, partial(said, reports), partial(said, reversed(reports)))
    carry_out_cancel(batch, LATER)
    assert counts_of(batch) == {"canceled": FLEET}


def test_overwrite_against_the_first_progress(product: Product, devices: list[Device]) -> None:
    """Either the older update was Upgrading first and the new one failed, or it was overwritten.

    Never both, never neither.
    """
    older = make_batch(make_package(product, version="3.0"))
    for device in devices:
        make_task(older, device, TaskStatus.NOTIFIED)
    newer = start(make_package(product), LATER, busy_policy=OVERWRITE)
    reports = [ProgressReport(product.product_key, device.name, "default", 10, "") for device in reversed(devices)]
    together(partial(write, newer), partial(said, reports))
    assert open_tasks() == Counter({device.pk: 1 for device in devices})
    old_counts, new_counts = counts_of(older), counts_of(newer)
    assert old_counts.get("in_progress", 0) == new_counts.get("failed", 0)
    assert old_counts.get("canceled", 0) == sum(new_counts.values()) - new_counts.get("failed", 0)


def test_connect_against_launch(product: Product, devices: list[Device]) -> None:
    """No device is online with a task that thinks it offline, whichever came first."""
    Device.objects.update(is_online=False)
    batch = start(make_package(product), LATER)
    key = product.product_key
    connects = [
        Presence(key, device.name, is_connect=True, session="new", address="10.0.0.9", at=0)
        for device in reversed(devices)
    ]
    together(partial(write, batch), partial(said, connects))
    tasks = Task.objects.filter(batch=batch, status=TaskStatus.QUEUED)
    assert tasks.filter(is_offline=False, due_at__isnull=False).count() == FLEET
    assert counts_of(batch) == {"queued": FLEET}


def test_match_against_launch(product: Product, devices: list[Device]) -> None:
    """A device is free for one of them only."""
    static = start(make_package(product), LATER)
    dynamic = make_batch(make_package(product, version="3.0"), selection=DYNAMIC, source_versions=["1.0"])
    request_matches([(d.pk, dynamic.module_id) for d in devices], is_new_version=True, now=LATER)

    def match() -> None:
        while again(partial(match_once, now=LATER, limit=SLICE)):
            pass

    together(partial(write, static), match)
    assert open_tasks() == Counter({device.pk: 1 for device in devices})
    assert counts_of(static).get("queued", 0) + counts_of(dynamic).get("queued", 0) == FLEET


def test_reupgrade_against_launch(product: Product, devices: list[Device]) -> None:
    """An ended update starts again only while its device's lane is free."""
    ended = make_batch(make_package(product, version="3.0"))
    tasks = [make_task(ended, device, TaskStatus.FAILED, reason=Reason.TIMEOUT) for device in devices]
    batch = start(make_package(product), LATER)

    def reupgrade() -> None:
        for task in reversed(tasks):
            again(partial(reupgrade_tasks, tasks=[task.public_id], actor=OPERATOR, now=LATER))

    together(partial(write, batch), reupgrade)
    assert open_tasks() == Counter({device.pk: 1 for device in devices})
    assert counts_of(batch).get("queued", 0) + counts_of(ended).get("queued", 0) == FLEET


def test_confirm_against_cancel(product: Product, devices: list[Device]) -> None:
    """No confirmed task escapes the cancel of its batch."""
    batch = make_batch(make_package(product), needs_confirm=True)
    tasks = [make_task(batch, device, TaskStatus.CONFIRM) for device in devices]

    def confirm() -> None:
        for task in tasks:
            again(partial(confirm_tasks, tasks=[task.public_id], actor=OPERATOR, now=LATER))

    def cancel() -> None:
        again(partial(cancel_batch, batch=batch.public_id, actor=OPERATOR, now=LATER))
        carry_out(batch)

    together(confirm, cancel)
    carry_out_cancel(batch, LATER)
    assert counts_of(batch) == {"canceled": FLEET}
