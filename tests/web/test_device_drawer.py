"""The drawer of one device update: why this device is not updated, its facts, its history, and what can be done."""

from datetime import timedelta

import pytest

from batches_app.domain.states import BatchStatus, EventKind, Reason, TaskStatus
from batches_app.models import Batch, Task, TaskEvent
from ota_console.core.clock import now
from tests.factories import make_batch, make_device, make_package, make_product, make_task
from tests.pages import HTMX, Answer, Console

DRAWER = {**HTMX, "HX-Target": "drawer"}


@pytest.fixture
def batch() -> Batch:
    return make_batch(make_package(make_product(), version="2.0"), retry_count=1, retry_interval_minutes=0)


def drawer(console: Console, task: Task, name: str = "") -> Answer:
    query = f"?device={name or task.device_name}"
    return console.get(f"/ota/batches/{task.batch.public_id}/devices/{query}", DRAWER)


def remember(task: Task, kind: EventKind, status: TaskStatus, **detail: str | int) -> None:
    TaskEvent.objects.create(task=task, at=now(), kind=kind, status=status, detail=detail)


def test_a_link_opens_exactly_that_device(console: Console, batch: Batch) -> None:
    """Not those whose names contain its name; the list beside it stays whole. Also without a script."""
    short, long = (make_task(batch, make_device(batch.product, name=name)) for name in ("meter-7", "meter-77"))
    page = console.get(f"/ota/batches/{batch.public_id}/devices/?device=meter-7")
    assert page.rows == [short.public_id, long.public_id]
    assert f'data-device="meter-7" data-task="{short.public_id}"' in page.html
    alone = drawer(console, long)
    assert ("<html" in alone.html, f'data-task="{long.public_id}"' in alone.html) == (False, True)


def test_it_says_why_in_one_sentence_and_how_many_failed_alike(console: Console, batch: Batch) -> None:
    """With the device's own words, and a link to those others."""
    failure = {"reason": Reason.VERIFICATION_FAILED, "reason_text": "bad sum", "attempt": 1, "push_no": 2}
    task = make_task(batch, make_device(batch.product), TaskStatus.FAILED, **failure)
    make_task(batch, make_device(batch.product), TaskStatus.FAILED, reason=Reason.VERIFICATION_FAILED)
    page = drawer(console, task)
    assert "The device reported a failure (−3 The verification failed) on attempt 2, the last one" in page.text
    assert "2 devices in this batch failed the same way. Show them" in page.text
    assert "?state=FAILED&amp;reason=VERIFICATION_FAILED" in page.html
    for words in ("Attempt 2 of 2", "Pushes 2", "Device's own words “bad sum”", "Connection Online"):
        assert words in page.text


def test_the_sentence_is_made_of_the_facts_that_the_engine_uses(console: Console, batch: Batch) -> None:
    """A paused batch holds an online device; a disabled one cannot even connect."""
    task = make_task(batch, make_device(batch.product))
    Batch.objects.filter(pk=batch.pk).update(paused_at=now())
    assert "The batch is paused. Resume it to push this device." in drawer(console, task).text
    batch.product.devices.update(is_enabled=False)
    assert "The device is disabled." in drawer(console, task).text


def test_a_conflict_leads_to_the_update_that_was_in_the_way(console: Console, batch: Batch) -> None:
    """rules.md §2: with a link to the blocker."""
    device = make_device(batch.product)
    older = make_task(make_batch(make_package(batch.product), title="night wave"), device)
    task = make_task(batch, device, TaskStatus.FAILED, reason=Reason.CONFLICT, blocker=older)
    page = drawer(console, task)
    assert "held the device when this batch was launched (night wave)" in page.text
    assert f"/ota/batches/{older.batch.public_id}/devices/?device={device.name}" in page.html


def test_the_history_stands_newest_first(console: Console, batch: Batch) -> None:
    """In words; what a whole batch did at once is told too, though it writes no line for each device."""
    task = make_task(batch, make_device(batch.product), TaskStatus.CANCELED, reason=Reason.BATCH_CANCELED)
    remember(task, EventKind.PUSHED, TaskStatus.NOTIFIED, push_no=1)
    remember(task, EventKind.PROGRESS, TaskStatus.IN_PROGRESS, step=25)
    remember(task, EventKind.FAILURE, TaskStatus.IN_PROGRESS, reason=-2, text="no route")
    remember(task, EventKind.RETRY, TaskStatus.IN_PROGRESS, attempt=1, not_before=now().isoformat())
    told = drawer(console, task).text
    lines = ("Batch canceled", "Retry 1 is planned", "−2 The download failed “no route”", "Progress 25 %")
    places = [told.index(words) for words in (*lines, "Pushed push 1", "Device update made")]
    assert places == sorted(places)


def test_every_kind_of_event_has_words(console: Console, batch: Batch) -> None:
    """A line without words would be a hole in the history."""
    task = make_task(batch, make_device(batch.product), TaskStatus.IN_PROGRESS)
    for kind in EventKind:
        remember(task, kind, TaskStatus.IN_PROGRESS)
    assert drawer(console, task).html.count("<li>") == len(EventKind) + 1


def test_what_is_done_in_the_drawer_shows_there(console: Console, batch: Batch) -> None:
    """Cancel and Re-upgrade answer with the drawer; without a script with the page, the drawer open."""
    task = make_task(batch, make_device(batch.product, name="meter-one"))
    address = f"/ota/batches/{batch.public_id}/tasks/{task.public_id}/"
    answer = console.post(f"{address}cancel/", {"device": "meter-one"}, DRAWER)
    assert ("data-ended" in answer.html, "data-open" in answer.html) == (True, False)
    assert "An operator canceled this update." in answer.text
    assert "Canceled by operator" in answer.text
    assert "The update of meter-one is canceled." in answer.response["HX-Trigger"]
    back = console.post(f"{address}re-upgrade/", {"device": "meter-one"})
    assert back.location == f"/ota/batches/{batch.public_id}/devices/?device=meter-one"


def test_an_unknown_device_is_said_so(console: Console, batch: Batch) -> None:
    """A link from yesterday's chat must not end in an error."""
    task = make_task(batch, make_device(batch.product))
    assert "This device has no update in this batch." in drawer(console, task, "nobody").text


def test_a_deleted_device_keeps_its_drawer(console: Console, batch: Batch) -> None:
    """History keeps its name (rules.md §7)."""
    task = make_task(batch, make_device(batch.product), TaskStatus.CANCELED, reason=Reason.DEVICE_DELETED)
    batch.product.devices.all().delete()
    assert "Connection The device was deleted." in drawer(console, task).text


def test_times_stand_in_the_operators_zone(console: Console, batch: Batch) -> None:
    """A start that is to come, in the seed's form."""
    start = (now() + timedelta(days=1)).replace(microsecond=0)
    Batch.objects.filter(pk=batch.pk).update(status=BatchStatus.PLANNED, schedule_at=start)
    task = make_task(batch, make_device(batch.product))
    assert f"scheduled start at {start:%Y/%m/%d %H:%M:%S}." in drawer(console, task).text
