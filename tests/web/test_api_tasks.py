"""Device updates over the API: lists that stay stable, history, confirm, re-upgrade, cancel."""

from datetime import timedelta
from typing import Any

import pytest

from batches_app.commands.cancel import cancel_batch, cancel_tasks, cancel_tasks_by_state
from batches_app.commands.confirm import reupgrade_tasks
from batches_app.domain.states import EventKind, Reason, TaskStatus
from batches_app.engine.sweep import finish_scheduled
from batches_app.models import Batch, Task, TaskEvent
from batches_app.selectors import api_rows
from ota_console.audit.actor import Actor
from tests.api import Api
from tests.campaign import carry_out_cancel
from tests.factories import NOW, make_batch, make_device, make_devices, make_package, make_product, make_task
from tests.play import push_and_record, said, version

LATER = NOW + timedelta(minutes=1)
STATES = tuple(TaskStatus)


@pytest.fixture
def batch(db: None) -> Batch:
    return make_batch(make_package(make_product()))


def fill(batch: Batch, count: int) -> list[str]:
    """Tasks in all states, in turn; their ids, newest first."""
    devices = make_devices(batch.product, count)
    tasks = [make_task(batch, device, STATES[number % 7]) for number, device in enumerate(devices)]
    return [task.public_id for task in tasks][::-1]


def found(api: Api, **query: Any) -> list[str]:
    return [row["id"] for row in api.get("tasks/", **query).body["results"]]


def test_a_device_update_says_where_it_stands(api: Api, batch: Batch) -> None:
    """In numbers, names and the words of the console."""
    device = make_device(batch.product, is_online=False)
    task = make_task(batch, device)
    body = api.get(f"tasks/{task.public_id}/").body
    assert (body["batch"], body["device"], body["device_name"]) == (batch.public_id, device.public_id, device.name)
    assert (body["status"], body["label"], body["is_offline"]) == ("QUEUED", "To Be Pushed (Device Offline)", True)
    assert (body["source_version"], body["target_version"], body["reason"]) == ("1.0", "2.0", "NONE")
    assert body["history"] == []


def test_a_failure_is_told_by_name_and_in_words(api: Api, batch: Batch) -> None:
    """With the device's own text, and the task that was in the way."""
    blocker = make_task(make_batch(make_package(batch.product)), make_device(batch.product), TaskStatus.SUCCEEDED)
    facts = {"reason": Reason.DOWNLOAD_FAILED, "reason_text": "no route", "blocker": blocker}
    task = make_task(batch, make_device(batch.product), TaskStatus.FAILED, **facts)
    body = api.get(f"tasks/{task.public_id}/").body
    assert (body["label"], body["reason"], body["blocker"]) == ("Update failed", "DOWNLOAD_FAILED", blocker.public_id)
    assert body["note"] == "−2 The download failed, “no route”"


def test_the_history_is_told_in_order(api: Api, batch: Batch) -> None:
    """Kinds and states by name."""
    task = make_task(batch, make_device(batch.product), TaskStatus.IN_PROGRESS)
    for kind, status in ((EventKind.PUSHED, TaskStatus.NOTIFIED), (EventKind.PROGRESS, TaskStatus.IN_PROGRESS)):
        TaskEvent.objects.create(task=task, at=NOW, kind=kind, status=status, detail={"step": 1})
    history = api.get(f"tasks/{task.public_id}/").body["history"]
    assert [(line["kind"], line["status"], line["at"]) for line in history] == [
        ("PUSHED", "NOTIFIED", "2026-03-12T03:00:00Z"),
        ("PROGRESS", "IN_PROGRESS", "2026-03-12T03:00:00Z"),
    ]


def told(api: Api, task: Task) -> list[tuple[str, str, object]]:
    """Kind, status and detail of each line."""
    lines = api.get(f"tasks/{task.public_id}/").body["history"]
    return [(line["kind"], line["status"], line["detail"]) for line in lines]


def ended(reason: Reason, actor: str) -> tuple[str, str, object]:
    return "ENDED", "CANCELED", {"reason": reason, "actor": actor}


def test_the_history_of_a_canceled_batch_says_who_and_when(api: Api, batch: Batch) -> None:
    """rules.md §7: one row per change of state; the slices of a cancel store none (decision 0009)."""
    task = make_task(batch, make_device(batch.product))
    push_and_record(batch)
    cancel_batch(batch=batch.public_id, actor=Actor(None, "ann"), now=NOW)
    carry_out_cancel(batch, LATER)
    assert told(api, task)[1:] == [ended(Reason.BATCH_CANCELED, "ann")]
    assert api.get(f"tasks/{task.public_id}/").body["history"][1]["at"] == "2026-03-12T03:01:00Z"


def test_two_cancels_of_one_batch_are_told_apart(api: Api, batch: Batch) -> None:
    """Who canceled last did not cancel everything."""
    queued = make_task(batch, make_device(batch.product))
    upgrading = make_task(batch, make_device(batch.product), TaskStatus.IN_PROGRESS)
    asked: dict[str, Any] = {"batch": batch.public_id, "states": [TaskStatus.QUEUED]}
    cancel_tasks_by_state(**asked, actor=Actor(None, "ann"), now=NOW)
    carry_out_cancel(batch, NOW)
    cancel_batch(batch=batch.public_id, actor=Actor(None, "bob"), now=LATER)
    carry_out_cancel(batch, LATER)
    assert told(api, queued) == [ended(Reason.CANCELED_BY_OPERATOR, "ann")]
    assert told(api, upgrading) == [ended(Reason.BATCH_CANCELED, "bob")]


def test_a_finish_time_has_no_actor(api: Api, batch: Batch) -> None:
    """Nobody canceled."""
    Batch.objects.update(finish_at=NOW)
    task = make_task(batch, make_device(batch.product))
    finish_scheduled(now=NOW)
    carry_out_cancel(batch, NOW)
    assert told(api, task) == [("ENDED", "CANCELED", {"reason": Reason.SCHEDULE_ENDED})]


def test_an_end_that_is_stored_is_told_once(api: Api, batch: Batch) -> None:
    """A cancel of single devices writes its line; a late success comes after the end."""
    single, many = (make_task(batch, make_device(batch.product), TaskStatus.NOTIFIED) for _ in range(2))
    cancel_tasks(tasks=[single.public_id], actor=Actor(None, "ann"), now=NOW)
    assert told(api, single) == [ended(Reason.CANCELED_BY_OPERATOR, "ann")]
    cancel_batch(batch=batch.public_id, actor=Actor(None, "bob"), now=NOW)
    carry_out_cancel(batch, NOW)
    assert many.device is not None
    said(version(many.device, "2.0"), at=LATER)
    assert [kind for kind, _, _ in told(api, many)] == ["ENDED", "LATE_SUCCESS"]


def test_an_end_before_a_reupgrade_is_told_too(api: Api, batch: Batch) -> None:
    """The re-upgrade resets the task, so its own line keeps what it was."""
    task = make_task(batch, make_device(batch.product))
    asked: dict[str, Any] = {"batch": batch.public_id, "states": [TaskStatus.QUEUED]}
    cancel_tasks_by_state(**asked, actor=Actor(None, "ann"), now=NOW)
    carry_out_cancel(batch, NOW)
    reupgrade_tasks(tasks=[task.public_id], actor=Actor(None, "bob"), now=LATER)
    lines = told(api, task)
    assert lines[0] == ended(Reason.CANCELED_BY_OPERATOR, "ann")
    assert [(kind, status) for kind, status, _ in lines[1:]] == [("REUPGRADED", "QUEUED")]


def test_the_update_of_a_deleted_device_keeps_its_name(api: Api, batch: Batch) -> None:
    """rules.md §7."""
    device = make_device(batch.product)
    task = make_task(batch, device, TaskStatus.IN_PROGRESS)
    assert api.delete(f"devices/{device.public_id}/").status == 204
    body = api.get(f"tasks/{task.public_id}/").body
    assert (body["device"], body["device_name"]) == (None, device.name)
    assert (body["status"], body["reason"]) == ("CANCELED", "DEVICE_DELETED")
    assert api.delete(f"devices/{device.public_id}/").body["code"] == "device_unknown"


@pytest.mark.parametrize("page_size", [1, 4, 7, 50])
def test_pages_of_a_batch_hold_each_task_once(api: Api, batch: Batch, page_size: int) -> None:
    """In the order of their making, newest first, across all states."""
    ids = fill(batch, 20)
    fill(make_batch(make_package(batch.product)), 9)
    pages = api.pages("tasks/", batch=batch.public_id, page_size=page_size)
    assert [row["id"] for page in pages for row in page] == ids
    assert all(len(page) == page_size for page in pages[:-1])


def test_pages_stay_stable_while_tasks_move(api: Api, batch: Batch) -> None:
    """A task that changes its state between two pages is neither lost nor shown twice."""
    ids = fill(batch, 12)
    first = api.get("tasks/", batch=batch.public_id, page_size=5)
    Task.objects.filter(public_id__in=ids).update(
        status=TaskStatus.CANCELED, due_at=None, deadline_at=None, lease_until=None
    )
    second = api.follow(first.body["next"])
    third = api.follow(second.body["next"])
    assert [row["id"] for page in (first, second, third) for row in page.body["results"]] == ids
    back = api.follow(api.follow(third.body["previous"]).body["previous"])
    assert [row["id"] for row in back.body["results"]] == ids[:5]


def test_more_batches_than_can_be_scanned_are_read_all_the_same(
    api: Api, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same order; only the way differs."""
    ids = fill(batch, 9)
    other = make_batch(batch.package)
    more = fill(other, 3)
    scanned = api.pages("tasks/", package=batch.package.public_id, page_size=5)
    monkeypatch.setattr(api_rows, "MAX_SCANS", 13)
    read = api.pages("tasks/", package=batch.package.public_id, page_size=5)
    assert read == scanned
    assert [row["id"] for page in read for row in page] == more + ids


def test_tasks_are_filtered_by_batch_status_and_device(api: Api, batch: Batch) -> None:
    """Several states at once; a device by id or by name."""
    ids = fill(batch, 7)
    other = make_batch(make_package(batch.product))
    task = Task.objects.get(public_id=ids[0])
    assert task.device is not None
    again = make_task(other, task.device, TaskStatus.SUCCEEDED)
    key = batch.product.product_key
    assert found(api, batch=batch.public_id, status="CANCELED") == ids[:1]
    assert found(api, batch=batch.public_id, status=["FAILED", "CANCELED"]) == ids[:2]
    assert found(api, device=task.device.public_id) == [again.public_id, ids[0]]
    assert found(api, device_name=task.device_name, product_key=key) == [again.public_id, ids[0]]
    assert found(api, device_name=task.device_name, batch=batch.public_id) == ids[:1]
    assert found(api, package=other.package.public_id) == [again.public_id]
    assert found(api, batch="nobody") == found(api, device="nobody") == found(api, package="nobody") == []
    assert found(api, status="CANCELED") == ids[:1]
    assert len(found(api)) == 8
    assert list(api.get("tasks/", status="4").errors()) == ["status"]


def test_a_waiting_update_is_confirmed(api: Api, batch: Batch) -> None:
    """In the app's place; once."""
    Batch.objects.update(needs_confirm=True)
    task = make_task(batch, make_device(batch.product), TaskStatus.CONFIRM)
    assert api.post(f"tasks/{task.public_id}/confirm/").body["status"] == "QUEUED"
    again = api.post(f"tasks/{task.public_id}/confirm/")
    assert (again.status, again.body["code"]) == (409, "not_waiting_for_confirmation")


def test_a_failed_update_starts_again(api: Api, batch: Batch) -> None:
    """And what has not ended is refused."""
    task = make_task(batch, make_device(batch.product), TaskStatus.FAILED)
    assert api.post(f"tasks/{task.public_id}/reupgrade/").body["status"] == "QUEUED"
    assert api.post(f"tasks/{task.public_id}/reupgrade/").body["code"] == "not_ended"


def test_an_upgrading_update_is_canceled(api: Api, batch: Batch) -> None:
    """An ended one is refused."""
    task = make_task(batch, make_device(batch.product), TaskStatus.IN_PROGRESS)
    assert api.post(f"tasks/{task.public_id}/cancel/").body["status"] == "CANCELED"
    assert api.post(f"tasks/{task.public_id}/cancel/").body["code"] == "already_ended"


@pytest.mark.parametrize("verb", ["confirm", "reupgrade", "cancel"])
def test_an_unknown_update_is_not_found(api: Api, verb: str) -> None:
    """As for any other thing."""
    answer = api.post(f"tasks/{'x' * 26}/{verb}/")
    assert (answer.status, answer.body["code"]) == (404, "task_unknown")


def test_many_are_confirmed_or_started_again_with_a_result_each(api: Api, batch: Batch) -> None:
    """A refused one does not keep the others."""
    Batch.objects.update(needs_confirm=True)
    waiting = make_task(batch, make_device(batch.product), TaskStatus.CONFIRM)
    failed = make_task(batch, make_device(batch.product), TaskStatus.FAILED, confirmed_at=NOW)
    both = [waiting.public_id, failed.public_id]
    confirmed = api.post("tasks/confirm/", tasks=both).body["results"]
    assert [row["is_done"] for row in confirmed] == [True, False]
    started = api.post("tasks/reupgrade/", tasks=[*both, "nobody"]).body["results"]
    assert [(row["is_done"], row["code"]) for row in started] == [
        (False, "not_ended"),
        (True, ""),
        (False, "unknown_task"),
    ]
    assert api.post("tasks/confirm/", tasks=[]).errors().keys() == {"tasks"}
    assert api.post("tasks/confirm/", tasks=[str(number) for number in range(201)]).errors().keys() == {"tasks"}
