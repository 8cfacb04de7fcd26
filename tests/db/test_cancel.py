"""Canceling: batches, policies, states, devices; by command and in slices."""

from datetime import datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from batches_app.commands.cancel import cancel_batch, cancel_by_device, cancel_tasks, cancel_tasks_by_state
from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.engine.cancel import cancel_once
from batches_app.engine.launch import launch_once
from batches_app.models import Batch, MatchRequest, Task, TaskEvent
from devices_app.models import Product
from ota_console.audit.actor import Actor
from ota_console.core.errors import Conflict, Invalid, NotFound
from packages_app.models import UpdatePackage
from tests.campaign import DYNAMIC, OPERATOR, carry_out_cancel, counts_of, launch, start, tasks_of, write_tasks
from tests.factories import make_batch, make_device, make_devices, make_package, make_product, make_task, make_user

pytestmark = pytest.mark.django_db
FOUR = (TaskStatus.CONFIRM, TaskStatus.QUEUED, TaskStatus.NOTIFIED, TaskStatus.IN_PROGRESS)


@pytest.fixture
def product() -> Product:
    return make_product()


@pytest.fixture
def package(product: Product) -> UpdatePackage:
    return make_package(product)


@pytest.fixture
def batch(product: Product, package: UpdatePackage) -> Batch:
    """A running batch with a task in every state."""
    batch = make_batch(package)
    for status in TaskStatus:
        values = {"reason": Reason.TIMEOUT} if status == TaskStatus.FAILED else {}
        make_task(batch, make_device(product, is_online=status != TaskStatus.QUEUED), status, **values)
    return batch


def test_a_static_batch_is_canceled_with_all_four_states(batch: Batch, now: datetime) -> None:
    """The seed; it returns at once, the tasks follow in slices."""
    started = cancel_batch(batch=batch.public_id, actor=OPERATOR, now=now)
    assert started.task_count == 4
    assert Task.objects.filter(status=TaskStatus.QUEUED).exists()
    carry_out_cancel(batch, now, 1)
    assert (batch.status, batch.ended_at, batch.cancel_mask) == (BatchStatus.CANCELED, now, 0)
    assert (batch.cancel_done_count, batch.cancel_total_count) == (4, 4)
    names = [name for _, name in tasks_of(batch)]
    assert names == ["CANCELED", "CANCELED", "CANCELED", "CANCELED", "SUCCEEDED", "FAILED", "CANCELED"]


def test_a_canceled_task_waits_for_nothing(product: Product, package: UpdatePackage, now: datetime) -> None:
    """What the state machine does to one task, done to all."""
    batch = make_batch(package)
    task = make_task(
        batch, make_device(product), TaskStatus.IN_PROGRESS, deadline_at=now, due_at=now, is_retry_pending=True
    )
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=now)
    carry_out_cancel(batch, now)
    task.refresh_from_db()
    assert (task.reason, task.ended_at) == (Reason.BATCH_CANCELED, now)
    assert (task.deadline_at, task.due_at, task.lease_until, task.is_retry_pending) == (None, None, None, False)
    assert not TaskEvent.objects.exists()
    assert counts_of(batch) == {"canceled": 1}


def test_who_canceled_stands_on_the_batch(batch: Batch, now: datetime) -> None:
    """The timeline of each task composes it from there."""
    user = make_user()
    cancel_batch(batch=batch.public_id, actor=Actor(user.pk, user.username), now=now)
    batch.refresh_from_db()
    assert (batch.canceled_by, batch.cancel_requested_at) == (user, now)


def test_a_dynamic_batch_loses_only_its_policy(product: Product, package: UpdatePackage, now: datetime) -> None:
    """The seed: without the checkbox, ongoing tasks go on."""
    make_device(product)
    batch = launch(package, now, selection=DYNAMIC, source_versions=("1.0",))
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=now)
    carry_out_cancel(batch, now)
    assert batch.status == BatchStatus.CANCELED
    assert counts_of(batch) == {"queued": 1}


def test_a_dynamic_batch_is_canceled_with_its_tasks(product: Product, package: UpdatePackage, now: datetime) -> None:
    """The seed: with the checkbox."""
    make_device(product)
    batch = launch(package, now, selection=DYNAMIC, source_versions=("1.0",))
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=now, include_ongoing=True)
    carry_out_cancel(batch, now)
    assert counts_of(batch) == {"canceled": 1}


def test_an_ended_batch_is_not_canceled_again(package: UpdatePackage, now: datetime) -> None:
    """It is told, and nothing changes."""
    batch = make_batch(package, status=BatchStatus.COMPLETED)
    with pytest.raises(Conflict) as error:
        cancel_batch(batch=batch.public_id, actor=OPERATOR, now=now)
    assert error.value.code == "batch_ended"


def test_states_are_canceled_and_the_rest_goes_on(batch: Batch, now: datetime) -> None:
    """The seed: all update tasks in Pending Confirmation, To Be Pushed or Pushed."""
    states = (TaskStatus.CONFIRM, TaskStatus.QUEUED, TaskStatus.NOTIFIED)
    assert cancel_tasks_by_state(batch=batch.public_id, states=states, actor=OPERATOR, now=now).task_count == 3
    carry_out_cancel(batch, now)
    assert batch.status == BatchStatus.IN_PROGRESS
    assert [name for _, name in tasks_of(batch)][:4] == ["CANCELED", "CANCELED", "CANCELED", "IN_PROGRESS"]
    assert set(Task.objects.filter(ended_at=now).values_list("reason", flat=True)) == {Reason.CANCELED_BY_OPERATOR}


@pytest.mark.parametrize("states", [(), (TaskStatus.SUCCEEDED,), (TaskStatus.QUEUED, TaskStatus.FAILED)])
def test_only_unfinished_states_can_be_canceled(batch: Batch, now: datetime, states: tuple[TaskStatus, ...]) -> None:
    """Vendor reference §3.7: at least one."""
    with pytest.raises(Invalid) as error:
        cancel_tasks_by_state(batch=batch.public_id, states=states, actor=OPERATOR, now=now)
    assert list(error.value.errors) == ["states"]


def test_tasks_of_an_ended_batch_can_be_canceled(product: Product, package: UpdatePackage, now: datetime) -> None:
    """rules.md §2: cancel is always allowed."""
    batch = make_batch(package, selection=DYNAMIC, status=BatchStatus.CANCELED)
    make_task(batch, make_device(product))
    cancel_tasks_by_state(batch=batch.public_id, states=FOUR, actor=OPERATOR, now=now)
    carry_out_cancel(batch, now)
    assert counts_of(batch) == {"canceled": 1}


def test_a_cancel_by_state_waits_for_the_launch(product: Product, package: UpdatePackage, now: datetime) -> None:
    """What the launch still writes is canceled too."""
    make_devices(product, 4)
    batch = start(package, now)
    launch_once(batch_id=batch.pk, now=now, slice_size=2)
    launch_once(batch_id=batch.pk, now=now, slice_size=2)
    cancel_tasks_by_state(batch=batch.public_id, states=[TaskStatus.QUEUED], actor=OPERATOR, now=now)
    carry_out_cancel(batch, now)
    assert batch.cancel_mask != 0
    write_tasks(batch, now, 2)
    carry_out_cancel(batch, now)
    assert batch.cancel_mask == 0
    assert counts_of(batch) == {"canceled": 4}


def test_a_canceled_batch_stops_its_launch(product: Product, package: UpdatePackage, now: datetime) -> None:
    """Cancel wins, also where no worker writes any more."""
    make_devices(product, 4)
    batch = start(package, now)
    launch_once(batch_id=batch.pk, now=now, slice_size=2)
    launch_once(batch_id=batch.pk, now=now, slice_size=2)
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=now)
    carry_out_cancel(batch, now)
    assert (batch.launch_state, batch.cancel_mask) == (Batch.LaunchState.STOPPED, 0)
    assert counts_of(batch) == {"canceled": 2}


def test_a_task_that_moved_behind_the_cursor_is_reached(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """A whole batch's cancel ends when nothing is unfinished, not when the cursor has passed."""
    batch = make_batch(package)
    tasks = [make_task(batch, make_device(product)) for _ in range(2)]
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=now)
    Batch.objects.filter(pk=batch.pk).update(cancel_cursor=tasks[0].pk)
    carry_out_cancel(batch, now)
    assert counts_of(batch) == {"canceled": 2}


def test_two_cancels_join(batch: Batch, now: datetime) -> None:
    """The second one asks for more states while the first still runs."""
    cancel_tasks_by_state(batch=batch.public_id, states=[TaskStatus.CONFIRM], actor=OPERATOR, now=now)
    cancel_tasks_by_state(batch=batch.public_id, states=[TaskStatus.NOTIFIED], actor=OPERATOR, now=now)
    carry_out_cancel(batch, now)
    assert [name for _, name in tasks_of(batch)][:4] == ["CANCELED", "QUEUED", "CANCELED", "IN_PROGRESS"]
    assert (batch.cancel_done_count, batch.cancel_total_count) == (2, 2)


def test_ticked_devices_upgrading_too(batch: Batch, now: datetime) -> None:
    """The seed: one or several devices; each with its own result, in the given order."""
    ids = list(Task.objects.filter(batch=batch).order_by("-pk").values_list("public_id", flat=True))
    results = cancel_tasks(tasks=[*ids, "nowhere"], actor=OPERATOR, now=now)
    assert [(r.is_done, r.code) for r in results] == [
        (False, "already_ended"),
        (False, "already_ended"),
        (False, "already_ended"),
        (True, ""),
        (True, ""),
        (True, ""),
        (True, ""),
        (False, "unknown_task"),
    ]
    assert TaskEvent.objects.filter(detail__actor="operator").count() == 4


def test_a_task_of_another_batch_is_unknown_where_one_is_named(
    batch: Batch, package: UpdatePackage, now: datetime
) -> None:
    """The page of one batch cannot reach into another."""
    task = Task.objects.filter(batch=batch).order_by("pk")[0]
    (result,) = cancel_tasks(tasks=[task.public_id], actor=OPERATOR, now=now, batch=make_batch(package).public_id)
    assert result.code == "unknown_task"


@pytest.mark.parametrize("count", [0, 201])
def test_one_to_two_hundred_at_once(now: datetime, count: int) -> None:
    """More go through a cancel by state."""
    with pytest.raises(Invalid):
        cancel_tasks(tasks=[f"t{n}" for n in range(count)], actor=OPERATOR, now=now)


def test_tasks_of_named_devices(product: Product, package: UpdatePackage, now: datetime) -> None:
    """Vendor reference §3.7: of one package, or of one batch of it."""
    first, second = make_device(product, name="meter-a"), make_device(product, name="meter-b")
    batch = make_batch(package)
    make_task(batch, first, TaskStatus.IN_PROGRESS)
    make_task(make_batch(make_package(product, version="3.0")), second)
    results = cancel_by_device(
        package=package.public_id, device_names=["meter-a", "meter-b", "meter-x"], actor=OPERATOR, now=now
    )
    assert [(r.device_name, r.is_done, r.code) for r in results] == [
        ("meter-a", True, ""),
        ("meter-b", False, "no_task"),
        ("meter-x", False, "unknown_device"),
    ]


def test_one_to_two_hundred_named_devices(package: UpdatePackage, now: datetime) -> None:
    """Vendor reference §3.7."""
    with pytest.raises(Invalid):
        cancel_by_device(package=package.public_id, device_names=[], actor=OPERATOR, now=now)


def test_named_devices_of_an_unknown_package_or_batch(package: UpdatePackage, now: datetime) -> None:
    """Each is told by name."""
    with pytest.raises(NotFound) as error:
        cancel_by_device(package="nowhere", device_names=["meter-a"], actor=OPERATOR, now=now)
    assert error.value.code == "package_unknown"
    with pytest.raises(NotFound) as error:
        cancel_by_device(package=package.public_id, device_names=["meter-a"], actor=OPERATOR, now=now, batch="nowhere")
    assert error.value.code == "batch_unknown"


def test_freed_devices_are_offered_to_dynamic_batches(product: Product, package: UpdatePackage, now: datetime) -> None:
    """rules.md §7: a busy device is looked at again when its lane frees."""
    make_batch(make_package(product, version="3.0"), selection=DYNAMIC)
    batch = make_batch(package)
    device = make_device(product)
    make_task(batch, device)
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=now)
    carry_out_cancel(batch, now)
    assert MatchRequest.objects.get().device_id == device.pk


def test_a_cancel_that_was_not_asked_for_does_nothing(batch: Batch, now: datetime) -> None:
    """Beat may ask too often."""
    assert not cancel_once(batch_id=batch.pk, now=now)
    assert not cancel_once(batch_id=0, now=now)


def test_a_slice_takes_a_bounded_number_of_queries(product: Product, package: UpdatePackage, now: datetime) -> None:
    """Four states, a thousand tasks: the same few statements."""
    make_devices(product, 200)
    batch = launch(package, now)
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=now)
    with CaptureQueriesContext(connection) as queries:
        assert not cancel_once(batch_id=batch.pk, now=now)
    assert len(queries) <= 15
    assert counts_of(batch) == {"canceled": 200}
