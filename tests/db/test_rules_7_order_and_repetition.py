"""rules.md §7 "Order and repetition", each rule under its own words."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batches_app.commands.cancel import cancel_batch, cancel_tasks, cancel_tasks_by_state
from batches_app.commands.confirm import confirm_tasks, reupgrade_tasks
from batches_app.commands.pause import pause_batch, resume_batch
from batches_app.domain.states import CONFIRM, FAILED, IN_PROGRESS, NOTIFIED, QUEUED, SUCCEEDED, TaskStatus
from batches_app.engine import reconcile, sweep
from batches_app.engine.ingest import ingest
from batches_app.models import Batch, BatchCounts, MatchRequest, PackageCounts, Task, TaskEvent
from devices_app.models import Device, ModuleVersion
from devices_app.protocol import topics
from devices_app.protocol.payloads import Inbound
from ota_console.core import leases
from ota_console.core.clock import FakeClock
from ota_console.gateway.journal import LEASE_NAME, LeaseLost
from ota_console.gateway.session import Received
from ota_console.gateway.sink import Sink
from ota_console.outbox.models import OutboxMessage
from packages_app.models import UpdatePackage
from tests.campaign import DYNAMIC, OPERATOR, carry_out_cancel, launch, match, write_tasks
from tests.factories import NOW, make_batch, make_device, make_package, make_product, make_task
from tests.play import (
    assert_counters_are_true,
    connected,
    disconnected,
    history,
    progress,
    pull,
    push,
    record,
    said,
    version,
)

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(minutes=1)
IDENTITY = {"id", "public_id", "task_id", "batch_id", "device_id", "package_id", "revision", "device_name"}


@pytest.fixture
def device() -> Device:
    """Online, on 1.0."""
    return make_device(make_product())


@pytest.fixture
def package(device: Device) -> UpdatePackage:
    """To 2.0."""
    return make_package(device.product)


def facts_of(device: Device, batch: Batch) -> list[dict[str, Any]]:
    """All that stands in the database about a device's update, its history and its batch's counters."""
    tasks = Task.objects.filter(batch=batch).order_by("id")
    querysets = (
        tasks.values(),
        TaskEvent.objects.filter(task__in=tasks).order_by("id").values("kind", "status", "detail", "at"),
        ModuleVersion.objects.filter(device=device)
        .order_by("module_id")
        .values("version", "previous_version", "reported_at"),
        BatchCounts.objects.filter(batch=batch).values(),
        Device.objects.filter(pk=device.pk).values("is_online", "session", "address"),
    )
    return [{k: v for k, v in row.items() if k not in IDENTITY} for rows in querysets for row in rows]


# --- One device's messages are applied in the order the broker gave them ---------------------------------------------


def test_one_devices_messages_are_applied_in_the_order_the_broker_gave_them(
    device: Device, package: UpdatePackage
) -> None:
    """One device's messages are applied in the order the broker gave them."""
    one, other = (make_task(make_batch(package), d, IN_PROGRESS) for d in (device, make_device(device.product)))
    assert one.device is not None
    assert other.device is not None
    said(
        version(one.device, "1.7"),
        version(one.device, "2.0"),
        version(other.device, "2.0"),
        version(other.device, "1.7"),
    )
    one.refresh_from_db()
    other.refresh_from_db()
    assert (one.status, one.late_success_at, other.status, other.rolled_back_at) == (FAILED, NOW, SUCCEEDED, NOW)


MESSAGES: dict[str, Callable[[Device], Inbound]] = {
    "connect": connected,
    "connect again": lambda device: connected(device, "newer"),
    "disconnect": disconnected,
    "late disconnect": lambda device: disconnected(device, "long ago"),
    "0 %": lambda device: progress(device, 0),
    "50 %": lambda device: progress(device, 50, "half"),
    "-2": lambda device: progress(device, -2, "reset by peer"),
    "-4": lambda device: progress(device, -4),
    "source": lambda device: version(device, "1.0"),
    "target": lambda device: version(device, "2.0"),
    "foreign": lambda device: version(device, "1.7"),
    "other module": lambda device: version(device, "2.0", module="MCU"),
    "pull": pull,
}
STARTS = st.sampled_from([CONFIRM, QUEUED, NOTIFIED, IN_PROGRESS, SUCCEEDED, FAILED])


@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STARTS, st.lists(st.sampled_from(sorted(MESSAGES)), min_size=1, max_size=8), st.data())
def test_how_messages_are_gathered_makes_no_difference(
    device: Device, status: TaskStatus, script: list[str], data: st.DataObject
) -> None:
    """One device's messages are applied in the order the broker gave them: one by one or in micro-batches."""
    cut = data.draw(st.integers(0, len(script)))
    found = []
    for parts in ([[name] for name in script], [script[:cut], script[cut:]]):
        fresh = make_device(device.product, session="first")
        batch = make_batch(make_package(device.product), retry_interval_minutes=0, retry_count=1)
        make_task(batch, fresh, status)
        for part in parts:
            said(*[MESSAGES[name](fresh) for name in part], at=LATER)
        found.append(facts_of(fresh, batch))
    assert found[0] == found[1]
    assert_counters_are_true()


# --- … by one consumer at a time -------------------------------------------------------------------------------------


@pytest.fixture
def open_sink(clock: FakeClock) -> Callable[[str], Sink]:
    """A gateway's sink, by the name of its process."""

    def sink(holder: str) -> Sink:
        return Sink(apply=ingest, clock=clock, holder=holder, stop=threading.Event())

    return sink


def test_by_one_consumer_at_a_time(device: Device, clock: FakeClock, open_sink: Callable[[str], Sink]) -> None:
    """… by one consumer at a time (one active gateway with a standby)."""
    topic = topics.inform(device.product.product_key, device.name)
    message = Received(1, 1, 1, False, topic, b'{"id":1,"params":{"version":"1.9"}}')
    assert leases.acquire(LEASE_NAME, "active", 6, clock())
    assert not leases.acquire(LEASE_NAME, "standby", 6, clock())
    with pytest.raises(LeaseLost):
        open_sink("standby").settle([message])
    assert ModuleVersion.objects.get(device=device).version == "1.0"
    assert open_sink("active").settle([message]).acknowledged == [message]
    clock.advance(seconds=7)
    assert leases.acquire(LEASE_NAME, "standby", 6, clock())
    with pytest.raises(LeaseLost):
        open_sink("active").settle([message._replace(payload=b'{"id":2,"params":{"version":"0.1"}}')])
    assert ModuleVersion.objects.get(device=device).version == "1.9"


# --- Every event is safe to apply twice ------------------------------------------------------------------------------


def whole() -> list[Any]:
    """All rows that an event may touch."""
    counted = [[*rows.order_by("pk").values()] for rows in (BatchCounts.objects.all(), PackageCounts.objects.all())]
    for row in (row for rows in counted for row in rows):
        del row["revision"]
    stood = (Task, TaskEvent, Batch, Device, ModuleVersion, UpdatePackage, MatchRequest)
    return [*counted, *([*model._default_manager.order_by("pk").values()] for model in stood)]


@pytest.mark.parametrize("status", list(TaskStatus))
@pytest.mark.parametrize("name", sorted(MESSAGES.keys() - {"pull"}))
def test_every_message_of_a_device_is_safe_to_apply_twice(
    device: Device, package: UpdatePackage, name: str, status: TaskStatus
) -> None:
    """Every event is safe to apply twice."""
    batch = make_batch(package, retry_interval_minutes=10, retry_count=1, timeout_minutes=60)
    make_task(batch, device, status)
    said(MESSAGES[name](device), at=LATER)
    once, told = whole(), OutboxMessage.objects.count()
    said(MESSAGES[name](device), at=LATER)
    assert whole() == once
    assert OutboxMessage.objects.count() == told
    assert_counters_are_true()


@pytest.mark.parametrize("status", list(TaskStatus))
def test_a_pull_is_safe_to_apply_twice(device: Device, package: UpdatePackage, status: TaskStatus) -> None:
    """Every event is safe to apply twice; a pull that comes twice is answered twice, and noted."""
    batch = make_batch(package)
    task = make_task(batch, device, status)
    replies = [said(pull(device), at=LATER).replies for _ in range(2)]
    assert len(replies[0]) == len(replies[1]) == 1
    assert len(history(task)) in (0, 2)
    facts = facts_of(device, batch)[0]
    said(pull(device), at=LATER)
    assert facts_of(device, batch)[0] == facts
    assert_counters_are_true()


def test_the_record_of_a_push_is_safe_to_apply_twice(device: Device, package: UpdatePackage) -> None:
    """Every event is safe to apply twice."""
    tokens = push(launch(package, NOW))
    assert record(tokens) == 1
    once = whole()
    assert record(tokens) == 0
    assert whole() == once


STEPS: dict[str, Callable[[Batch], object]] = {
    "launch slice": lambda batch: write_tasks(batch, LATER),
    "match": lambda _: match(LATER),
    "reconcile": lambda batch: reconcile.reconcile_batch(batch_id=batch.pk, after=0, now=LATER),
    "look for matches": lambda batch: reconcile.look_for_matches(batch_id=batch.pk, after=0, now=LATER),
    "sweep": lambda _: sweep.sweep_once(now=LATER),
    "cancel slice": lambda batch: carry_out_cancel(batch, LATER),
}


@pytest.mark.parametrize("name", sorted(STEPS))
@pytest.mark.parametrize("selection", list(Batch.Selection))
def test_every_step_of_the_engine_is_safe_to_do_twice(
    device: Device, package: UpdatePackage, name: str, selection: Batch.Selection
) -> None:
    """Every event is safe to apply twice."""
    batch = launch(package, NOW, selection=selection, source_versions=("1.0",), timeout_minutes=1, needs_push=True)
    record(push(batch))
    said(progress(device, 0))
    if name == "cancel slice":
        cancel_batch(batch=batch.public_id, actor=OPERATOR, now=NOW, include_ongoing=True)
    STEPS[name](batch)
    once = whole()
    STEPS[name](batch)
    assert whole() == once
    assert_counters_are_true()


COMMANDS: dict[str, Callable[[Batch, Sequence[str]], object]] = {
    "cancel tasks": lambda _, tasks: cancel_tasks(tasks=tasks, actor=OPERATOR, now=LATER),
    "cancel by state": lambda batch, _: cancel_tasks_by_state(
        batch=batch.public_id, states=[QUEUED], actor=OPERATOR, now=LATER
    ),
    "confirm": lambda _, tasks: confirm_tasks(tasks=tasks, actor=OPERATOR, now=LATER),
    "re-upgrade": lambda _, tasks: reupgrade_tasks(tasks=tasks, actor=OPERATOR, now=LATER),
    "pause": lambda batch, _: pause_batch(batch=batch.public_id, actor=OPERATOR, now=LATER),
    "resume": lambda batch, _: resume_batch(batch=batch.public_id, actor=OPERATOR, now=LATER),
}


@pytest.mark.parametrize("name", sorted(COMMANDS))
@pytest.mark.parametrize("status", list(TaskStatus))
def test_every_command_is_safe_to_give_twice(
    device: Device, package: UpdatePackage, name: str, status: TaskStatus
) -> None:
    """Every event is safe to apply twice."""
    batch = make_batch(package)
    task = make_task(batch, device, status)
    COMMANDS[name](batch, [task.public_id])
    once = whole()
    COMMANDS[name](batch, [task.public_id])
    assert whole() == once
    assert_counters_are_true()


def test_a_dynamic_match_is_made_once_for_a_report_that_comes_twice(device: Device, package: UpdatePackage) -> None:
    """Every event is safe to apply twice: the same report makes one task."""
    late = make_device(device.product, version="")
    batch = launch(package, NOW, selection=DYNAMIC, source_versions=("1.0",))
    for seconds in (0, 1):
        at = LATER + timedelta(seconds=seconds)
        said(version(late, "1.0"), at=at)
        match(at)
    assert Task.objects.filter(batch=batch, device=late).count() == 1
