"""What a device's messages do to its update, on the real database: facts, counters, history, events."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from batches_app.domain.states import CANCELED, FAILED, IN_PROGRESS, NOTIFIED, QUEUED, SUCCEEDED, EventKind, Reason
from batches_app.engine.ingest import IngestResult, ingest
from batches_app.models import Batch, BatchCounts, FailureCount, MatchRequest, Task, TaskEvent
from batches_app.sql.tasks import COUNT_COLUMNS
from devices_app.models import Device, DeviceLogEntry, DropCount, Module, ModuleVersion
from devices_app.protocol.payloads import (
    Dropped,
    DropReason,
    Inbound,
    Presence,
    ProgressReport,
    PullRequest,
    VersionReport,
)
from ota_console.outbox.models import OutboxMessage
from tests.factories import NOW, make_batch, make_device, make_package, make_product, make_task, set_version

pytestmark = pytest.mark.django_db


def said(*messages: Inbound, after_seconds: float = 0) -> IngestResult:
    """One micro-batch."""
    with transaction.atomic():
        return ingest(messages, NOW + timedelta(seconds=after_seconds))


def names(device: Device) -> tuple[str, str]:
    return device.product.product_key, device.name


def progress(device: Device, step: int, desc: str = "") -> ProgressReport:
    return ProgressReport(*names(device), "default", step, desc)


def version(device: Device, value: str, module: str = "default") -> VersionReport:
    return VersionReport(*names(device), module, value)


def connected(device: Device, session: str = "new") -> Presence:
    return Presence(*names(device), is_connect=True, session=session, address="10.0.0.9", at=0)


def disconnected(device: Device, session: str = "new") -> Presence:
    return Presence(*names(device), is_connect=False, session=session, address="", at=0)


@pytest.fixture
def device() -> Device:
    """An online device on 1.0."""
    return make_device(make_product())


@pytest.fixture
def batch(device: Device) -> Batch:
    """To 2.0, without retries."""
    return make_batch(make_package(device.product), timeout_minutes=60)


def counts(batch: Batch) -> dict[str, int]:
    """The counters that are not zero."""
    found = BatchCounts.objects.get(pk=batch.pk)
    return {name: value for name in COUNT_COLUMNS if (value := getattr(found, name))}


def test_an_update_runs_from_pushed_to_updated(device: Device, batch: Batch) -> None:
    """Progress makes it Upgrading, the target version makes it Updated; counters and history follow."""
    task = make_task(batch, device, NOTIFIED)
    said(progress(device, 0, "started"))
    task.refresh_from_db()
    assert (task.status, task.progress, task.progress_text) == (IN_PROGRESS, 0, "started")
    assert task.deadline_at == NOW + timedelta(minutes=60)
    said(progress(device, 60), progress(device, 100), version(device, "2.0"), after_seconds=5)
    task.refresh_from_db()
    assert (task.status, task.progress) == (SUCCEEDED, 100)
    assert not Task.objects.filter(deadline_at__isnull=False).exists()
    assert counts(batch) == {"succeeded": 1, "ever_notified": 1}
    kinds = list(TaskEvent.objects.filter(task=task).values_list("kind", "status"))
    assert kinds == [
        (EventKind.PROGRESS, IN_PROGRESS),
        (EventKind.PROGRESS, IN_PROGRESS),
        (EventKind.PROGRESS, IN_PROGRESS),
        (EventKind.VERSION, SUCCEEDED),
    ]
    assert ModuleVersion.objects.get(device=device).version == "2.0"
    assert OutboxMessage.objects.exists()


def test_applying_the_same_messages_again_changes_nothing_more(device: Device, batch: Batch) -> None:
    """At-least-once delivery."""
    make_task(batch, device, NOTIFIED)
    messages = (progress(device, 10), progress(device, 50), version(device, "2.0"))
    said(*messages)
    before = (Task.objects.values().get(), counts(batch), TaskEvent.objects.count(), OutboxMessage.objects.count())
    said(*messages)
    assert (
        Task.objects.values().get(),
        counts(batch),
        TaskEvent.objects.count(),
        OutboxMessage.objects.count(),
    ) == before


def test_a_failure_code_ends_the_update_with_the_devices_own_words(device: Device, batch: Batch) -> None:
    """Failure counted by reason and source version."""
    task = make_task(batch, device, IN_PROGRESS)
    said(progress(device, -2, "certificate expired"))
    task.refresh_from_db()
    assert (task.status, task.reason, task.reason_text) == (FAILED, Reason.DOWNLOAD_FAILED, "certificate expired")
    failure = FailureCount.objects.get(batch=batch)
    assert (failure.reason, failure.source_version, failure.count) == (Reason.DOWNLOAD_FAILED, "1.0", 1)
    assert counts(batch) == {"failed": 1, "ever_notified": 1}


def test_a_failure_code_without_an_update_is_noted_on_the_device(device: Device) -> None:
    """rules.md §7: recorded in the device's log, nothing else."""
    said(progress(device, -1, "flash worn"))
    entry = DeviceLogEntry.objects.get(device=device)
    assert (entry.reason, entry.detail) == ("failure_without_update", "-1 flash worn")


def test_a_device_that_connects_is_online_and_its_update_due_in_two_seconds(batch: Batch, device: Device) -> None:
    """rules.md §5."""
    Device.objects.update(is_online=False)
    device.refresh_from_db()
    task = make_task(batch, device)
    assert counts(batch) == {"queued": 1, "queued_offline": 1}
    said(connected(device))
    task.refresh_from_db()
    device.refresh_from_db()
    assert (device.is_online, device.session, device.address) == (True, "new", "10.0.0.9")
    assert task.due_at == NOW + timedelta(seconds=2)
    assert counts(batch) == {"queued": 1}


def test_a_late_disconnect_of_an_older_session_is_ignored(batch: Batch, device: Device) -> None:
    """Presence is keyed by the broker's session."""
    task = make_task(batch, device)
    said(connected(device, "one"), connected(device, "two"), disconnected(device, "one"))
    device.refresh_from_db()
    task.refresh_from_db()
    assert (device.is_online, task.is_offline) == (True, False)
    said(disconnected(device, "two"))
    task.refresh_from_db()
    assert (task.is_offline, task.due_at) == (True, None)
    assert counts(batch) == {"queued": 1, "queued_offline": 1}


def test_any_message_sets_a_device_online(batch: Batch, device: Device) -> None:
    """rules.md §5; its update becomes due as after a connect."""
    Device.objects.update(is_online=False)
    device.refresh_from_db()
    task = make_task(batch, device)
    said(version(device, "1.0"))
    device.refresh_from_db()
    task.refresh_from_db()
    assert device.is_online
    assert task.due_at == NOW + timedelta(seconds=2)


def test_an_equal_version_report_makes_no_event(device: Device) -> None:
    """rules.md §7: no matching, no event, no forwarding."""
    said(version(device, "1.0"))
    assert not OutboxMessage.objects.exists()
    assert not MatchRequest.objects.exists()


def test_a_new_version_is_queued_for_running_dynamic_batches(device: Device) -> None:
    """Matching itself is carried out outside ingest."""
    make_batch(make_package(device.product), selection=Batch.Selection.DYNAMIC, source_versions=["1.1"])
    said(version(device, "1.1"))
    assert MatchRequest.objects.get().is_new_version


def test_late_success_is_noted_without_touching_the_record(device: Device, batch: Batch) -> None:
    """rules.md §2."""
    task = make_task(batch, device, CANCELED, reason=Reason.CANCELED_BY_OPERATOR)
    said(version(device, "2.0"))
    task.refresh_from_db()
    assert (task.status, task.late_success_at) == (CANCELED, NOW)
    assert counts(batch) == {"canceled": 1, "late_success": 1}


def test_an_older_version_after_success_is_a_rollback(device: Device, batch: Batch) -> None:
    """The task stays Updated; device and batch show "rolled back since"."""
    task = make_task(batch, device, SUCCEEDED)
    set_version(device, "2.0")
    said(version(device, "1.0"))
    task.refresh_from_db()
    assert (task.status, task.rolled_back_at) == (SUCCEEDED, NOW)
    assert counts(batch)["rolled_back"] == 1


def test_a_pull_hands_out_the_update_and_answers_with_a_link(device: Device, batch: Batch) -> None:
    """It takes no slot of the pace but counts as notified."""
    task = make_task(batch, device)
    result = said(PullRequest(*names(device), "7", "default"))
    task.refresh_from_db()
    assert (task.status, task.push_no) == (NOTIFIED, 1)
    assert counts(batch) == {"notified": 1, "ever_notified": 1}
    ((topic, payload),) = result.replies
    assert topic == f"/sys/{device.product.product_key}/{device.name}/thing/ota/firmware/get_reply"
    assert f"/d/{task.public_id}/1?e=".encode() in payload


def test_a_pull_without_an_update_is_answered_with_empty_data(device: Device) -> None:
    """Vendor reference §4.6."""
    result = said(PullRequest(*names(device), 9, "default"))
    assert result.replies[0][1] == b'{"id":9,"code":200,"message":"success","data":{}}'


def test_an_unknown_module_is_created_up_to_ten(device: Device) -> None:
    """rules.md §5; the eleventh is dropped and shown."""
    said(*[version(device, "1.0", f"module{n}") for n in range(11)])
    assert Module.objects.filter(product=device.product).count() == 11
    assert DeviceLogEntry.objects.get(device=device).reason == "too_many_modules"


def test_what_is_not_understood_is_counted_by_reason(device: Device) -> None:
    """And shown on the device's page where the device is known."""
    said(
        Dropped(DropReason.BAD_JSON, *names(device)),
        version(device, "1.0"),
        VersionReport("k1nobody", "nobody-1", "default", "1.0"),
    )
    assert dict(DropCount.objects.values_list("reason", "count")) == {"bad_json": 1, "unknown_device": 1}
    assert DeviceLogEntry.objects.get().reason == "bad_json"


def test_a_disabled_device_is_not_listened_to(device: Device, batch: Batch) -> None:
    """Counted, and its update does not move."""
    task = make_task(batch, device, NOTIFIED)
    Device.objects.update(is_enabled=False)
    said(progress(device, 10))
    task.refresh_from_db()
    assert task.status == NOTIFIED
    assert DropCount.objects.get().reason == "device_disabled"


def test_a_micro_batch_costs_a_bounded_number_of_queries(
    django_assert_max_num_queries: Any, device: Device, batch: Batch
) -> None:
    """Whatever the number of messages."""
    devices = [make_device(device.product) for _ in range(30)]
    for other in devices:
        make_task(batch, other, NOTIFIED)
    with django_assert_max_num_queries(24):
        said(*[progress(d, 5) for d in devices], *[version(d, "2.0") for d in devices])
    assert Task.objects.filter(status=SUCCEEDED).count() == 30
    assert QUEUED not in Task.objects.values_list("status", flat=True)
