"""Races of a cancel, on PostgreSQL: whoever commits first, what stands in the end is right and counted right."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from batches_app.commands.cancel import cancel_batch, cancel_tasks, cancel_tasks_by_state
from batches_app.commands.confirm import confirm_tasks, reupgrade_tasks
from batches_app.domain.states import (
    CANCELED,
    CONFIRM,
    FAILED,
    NOTIFIED,
    EventKind,
    Reason,
)
from batches_app.engine.cancel import cancel_once
from batches_app.engine.launch import launch_once
from batches_app.engine.matching import match_once
from batches_app.models import Task
from devices_app.models import Device, Product
from packages_app.models import UpdatePackage
from tests.campaign import DYNAMIC, OPERATOR, carry_out_cancel, launch, start
from tests.factories import (
    NOW,
    make_batch,
    make_device,
    make_devices,
    make_package,
    make_product,
    make_task,
)
from tests.play import (
    assert_counters_are_true,
    history,
    push,
    record,
    said,
    task_of,
    version,
)
from tests.races import race, writes_slices

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

LATER = NOW + timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _counters_are_true_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    assert_counters_are_true()


@pytest.fixture
def product() -> Product:
    return make_product()


@pytest.fixture
def device(product: Product) -> Device:
    """Online, on 1.0."""
    return make_device(product)


@pytest.fixture
def package(product: Product) -> UpdatePackage:
    """To 2.0."""
    return make_package(product)


# --- Cancel against claim and record ----------------------------------------------------------------------------------


def test_a_cancel_that_comes_first_keeps_the_claim_away(device: Device, package: UpdatePackage) -> None:
    """A task that is canceled before its claim is never pushed, whichever slice has reached it (rules.md §3)."""
    batch = launch(package, NOW)
    _, pushed = race(
        lambda: cancel_batch(batch=batch.public_id, actor=OPERATOR, now=NOW), lambda: push(batch, at=LATER)
    )
    assert pushed == []
    carry_out_cancel(batch, LATER)
    task = task_of(batch, device)
    assert (task.status, task.push_no, history(task)) == (CANCELED, 0, [])


def test_a_claim_that_comes_first_is_canceled_all_the_same(device: Device, package: UpdatePackage) -> None:
    """The push leaves; its record cannot revive the canceled task."""
    batch = launch(package, NOW)
    pushed, _ = race(
        lambda: push(batch, at=LATER), lambda: cancel_batch(batch=batch.public_id, actor=OPERATOR, now=LATER)
    )
    carry_out_cancel(batch, LATER)
    assert record(pushed, at=LATER) == 0
    task = task_of(batch, device)
    assert (task.status, task.reason, task.push_no) == (CANCELED, Reason.BATCH_CANCELED, 1)
    assert push(batch, at=LATER + timedelta(minutes=2)) == []


def test_a_slice_of_the_cancel_that_comes_first_keeps_the_record_out(device: Device, package: UpdatePackage) -> None:
    """The recorder writes only where its own token still stands."""
    batch = launch(package, NOW)
    tokens = push(batch)
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=LATER)
    _, recorded = race(lambda: cancel_once(batch_id=batch.pk, now=LATER), lambda: record(tokens, at=LATER))
    assert recorded == 0
    carry_out_cancel(batch, LATER)
    assert task_of(batch, device).status == CANCELED


def test_a_record_that_comes_first_is_canceled_as_pushed(device: Device, package: UpdatePackage) -> None:
    """The slice waits for the record, and finds the task in its new state."""
    batch = launch(package, NOW)
    tokens = push(batch)
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=LATER)
    recorded, _ = race(lambda: record(tokens, at=LATER), lambda: cancel_once(batch_id=batch.pk, now=LATER))
    assert recorded == 1
    carry_out_cancel(batch, LATER)
    task = task_of(batch, device)
    assert (task.status, history(task)) == (CANCELED, [(EventKind.PUSHED, NOTIFIED)])


def test_a_single_cancel_and_a_record_end_canceled_either_way(product: Product, package: UpdatePackage) -> None:
    """Cancel of ticked devices against the record of their pushes."""
    devices = make_devices(product, 2)
    batch = launch(package, NOW)
    first, second = push(batch)
    tasks = [Task.objects.get(pk=token.task_id) for token in (first, second)]

    def cancel(task: Task) -> int:
        return len(cancel_tasks(tasks=[task.public_id], actor=OPERATOR, now=LATER))

    race(partial(cancel, tasks[0]), partial(record, [first], at=LATER))
    race(partial(record, [second], at=LATER), partial(cancel, tasks[1]))
    assert [task_of(batch, device).status for device in devices] == [CANCELED, CANCELED]


def test_a_cancel_of_what_waits_and_a_confirmation(device: Device, package: UpdatePackage) -> None:
    """Every confirm checks the batch's row (rules.md §3)."""
    batch = launch(package, NOW, needs_confirm=True)
    ids = [task_of(batch, device).public_id]
    _, (result,) = race(
        lambda: cancel_tasks_by_state(batch=batch.public_id, states=[CONFIRM], actor=OPERATOR, now=LATER),
        lambda: confirm_tasks(tasks=ids, actor=OPERATOR, now=LATER),
    )
    assert result.code == "being_canceled"
    carry_out_cancel(batch, LATER)
    assert task_of(batch, device).status == CANCELED


def test_a_cancel_and_a_reupgrade(device: Device, package: UpdatePackage) -> None:
    """Every re-upgrade checks the batch's row (rules.md §3)."""
    batch = make_batch(package)
    task = make_task(batch, device, FAILED)
    _, (result,) = race(
        lambda: cancel_batch(batch=batch.public_id, actor=OPERATOR, now=LATER),
        lambda: reupgrade_tasks(tasks=[task.public_id], actor=OPERATOR, now=LATER),
    )
    assert result.code == "batch_canceled"
    carry_out_cancel(batch, LATER)
    assert task_of(batch, device).status == FAILED


def test_a_cancel_stops_a_launch_between_two_slices(product: Product, package: UpdatePackage) -> None:
    """Every launch slice checks the batch's row; what was written is canceled, the rest is never written."""
    make_devices(product, 30)
    batch = start(package, NOW)
    launch_once(batch_id=batch.pk, now=NOW)
    launch_once(batch_id=batch.pk, now=NOW, slice_size=10)
    race(
        lambda: cancel_batch(batch=batch.public_id, actor=OPERATOR, now=LATER),
        lambda: launch_once(batch_id=batch.pk, now=LATER, slice_size=10),
    )
    carry_out_cancel(batch, LATER)
    writes_slices(batch)()
    assert set(Task.objects.values_list("status", flat=True)) == {CANCELED}
    assert Task.objects.count() == 10


def test_a_cancel_and_a_match(product: Product, package: UpdatePackage) -> None:
    """Every match checks the batch's row: a canceled policy makes no task."""
    batch = launch(package, NOW, selection=DYNAMIC, source_versions=("1.0",))
    device = make_device(product, version="0.9")
    said(version(device, "1.0"), at=LATER)
    race(
        lambda: cancel_batch(batch=batch.public_id, actor=OPERATOR, now=LATER),
        lambda: match_once(now=LATER),
    )
    assert not Task.objects.exists()
