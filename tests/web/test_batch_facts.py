"""What a batch's pages say beyond states and counts: conflicts, ends, late reports, and what may start again."""

import re
from datetime import timedelta

import pytest

from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.models import Batch
from batches_app.views import batch_pages
from ota_console.core.clock import now
from tests.factories import make_batch, make_device, make_package, make_product, make_task
from tests.pages import DIALOG, HTMX, Console


@pytest.fixture
def batch() -> Batch:
    return make_batch(make_package(make_product(), version="2.0"))


def devices(batch: Batch, query: str = "") -> str:
    return f"/ota/batches/{batch.public_id}/devices/{query}"


def test_a_conflict_names_the_batch_that_was_in_the_way(console: Console, batch: Batch) -> None:
    """rules.md §2: with a link to the blocker, on exactly that device."""
    device = make_device(batch.product)
    older = make_task(make_batch(make_package(batch.product)), device)
    make_task(batch, device, TaskStatus.FAILED, reason=Reason.CONFLICT, blocker=older)
    page = console.get(devices(batch))
    assert f'href="{devices(older.batch, f"?device={device.name}")}"' in page.html
    assert "Conflict, the other batch" in page.text


def test_what_devices_reported_after_their_end_is_counted(console: Console, batch: Batch) -> None:
    """rules.md §2, §7: on the batch and on the package, and nothing where there is none."""
    make_task(batch, make_device(batch.product), TaskStatus.FAILED, late_success_at=now())
    for page in (console.get(devices(batch)), console.get(f"/ota/packages/{batch.package.public_id}/devices/")):
        assert (page.count("LATE_SUCCESS"), page.count("ROLLED_BACK")) == ("1", "0")
        assert 'data-zeroes data-zero><span class="fig" data-count="ROLLED_BACK"' in page.html


def test_nothing_starts_again_in_a_canceled_batch_nor_after_its_finish_time(console: Console, batch: Batch) -> None:
    """The batch says so, since live rows know only their own state (rules.md §3)."""
    assert "data-reupgradable" in console.get(devices(batch)).html
    Batch.objects.filter(pk=batch.pk).update(finish_at=now() - timedelta(minutes=1))
    assert "data-reupgradable" not in console.get(devices(batch)).html
    Batch.objects.filter(pk=batch.pk).update(finish_at=None, status=BatchStatus.CANCELED)
    assert "data-reupgradable" not in console.get(devices(batch)).html


def test_an_end_that_was_not_ordinary_is_explained(console: Console, batch: Batch) -> None:
    """rules.md §3: a launch whose matches were gone is Completed with that reason."""
    ended = {"status": BatchStatus.COMPLETED, "ended_at": now(), "end_reason": "nothing_matched"}
    Batch.objects.filter(pk=batch.pk).update(**ended)
    assert "no device matched any more" in console.get(f"/ota/batches/{batch.public_id}/info/").text


def edit(console: Console, batch: Batch, **data: object) -> str:
    """Post an edit; the page that is shown then."""
    console.post(f"/ota/batches/{batch.public_id}/edit/", data)
    return console.get(f"/ota/batches/{batch.public_id}/info/").html


def undo_of(html: str) -> dict[str, list[str]]:
    """What the toast's button posts."""
    form = re.search(r'<div class="toast-x">.*?<form(.*?)</form>', html, re.DOTALL)
    assert form is not None
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form[1]):
        found.setdefault(name, []).append(value)
    return found


def test_a_saved_rate_says_when_it_holds_and_can_be_undone(console: Console, batch: Batch) -> None:
    """By the same command, with the values of before (design §6); it speaks of no tags."""
    Batch.objects.filter(pk=batch.pk).update(rate_per_minute=40)
    page = edit(console, batch, part="edit-rate", rate_per_minute="700")
    assert "Push rate saved. In effect within 5 s." in page
    again = edit(console, batch, **undo_of(page))
    batch.refresh_from_db()
    assert (batch.rate_per_minute, "Undone. The former values hold again." in again) == (40, True)


def test_saved_tags_can_be_undone(console: Console, batch: Batch) -> None:
    """All of them, as they were."""
    batch.tags.create(position=1, key="wave", value="3")
    page = edit(console, batch, part="edit-tags", tag_key="site", tag_value="north")
    edit(console, batch, **undo_of(page))
    assert list(batch.tags.values_list("key", "value")) == [("wave", "3")]


def test_an_undo_does_not_overwrite_what_came_after(console: Console, batch: Batch) -> None:
    """Somebody else's edit stands; the dialog opens and says so."""
    page = edit(console, batch, part="edit-rate", rate_per_minute="700")
    Batch.objects.filter(pk=batch.pk).update(updated_at=now() + timedelta(seconds=1), rate_per_minute=9)
    answer = console.post(f"/ota/batches/{batch.public_id}/edit/", undo_of(page), HTMX)
    assert (answer.status, "Not saved. Somebody changed this batch meanwhile." in answer.text) == (422, True)


def test_ticks_beyond_what_one_action_takes_are_said(
    console: Console, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the way to all that are not yet upgrading is shown."""
    monkeypatch.setattr(batch_pages, "MAX_TICKED", 2)
    tasks = [make_task(batch, make_device(batch.product)) for _ in range(4)]
    query = "&".join(f"task={task.public_id}" for task in tasks)
    dialog = console.get(devices(batch, f"?dialog=cancel-devices&{query}"), DIALOG)
    assert "Cancel the updates of 2 devices?" in dialog.text
    assert "2 ticked devices more are not in this list and go on. Cancel all 4 not yet upgrading" in dialog.text


def test_more_ticks_than_one_command_takes_are_refused(console: Console, batch: Batch) -> None:
    """Never a part of them in silence."""
    task = make_task(batch, make_device(batch.product))
    asked = {"task": [task.public_id, *(f"x{number}" for number in range(200))]}
    assert console.post(f"/ota/batches/{batch.public_id}/cancel-devices/", asked).status == 400
    assert console.get(devices(batch)).count("CANCELED") == "0"


def test_pause_is_praised_only_where_it_holds_something(console: Console, batch: Batch) -> None:
    """Nothing waits: nothing is said of it."""
    make_task(batch, make_device(batch.product), TaskStatus.IN_PROGRESS)
    assert 'class="if-any" data-zeroes data-zero>' in console.get(devices(batch, "?dialog=cancel"), DIALOG).html
    make_task(batch, make_device(batch.product))
    dialog = console.get(devices(batch, "?dialog=cancel"), DIALOG)
    assert ("data-zero>" in dialog.html, "holds the 1 To Be Pushed device," in dialog.text) == (False, True)
