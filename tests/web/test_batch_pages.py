"""Batch details, the list of batches, and what is changed from there."""

from datetime import timedelta

import pytest

from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.models import Batch, Task
from batches_app.selectors import task_rows
from ota_console.core.clock import now
from tests.factories import make_batch, make_device, make_devices, make_package, make_product, make_task
from tests.pages import DIALOG, HTMX, Console

LABELS = {
    TaskStatus.CONFIRM: "Pending Confirmation",
    TaskStatus.QUEUED: "To Be Pushed",
    TaskStatus.NOTIFIED: "Pushed",
    TaskStatus.IN_PROGRESS: "Upgrading",
    TaskStatus.SUCCEEDED: "Updated",
    TaskStatus.FAILED: "Update failed",
    TaskStatus.CANCELED: "Canceled",
}


@pytest.fixture
def batch() -> Batch:
    return make_batch(make_package(make_product(), version="2.0"))


def fill(batch: Batch, **values: object) -> dict[TaskStatus, Task]:
    """One task in each state."""
    return {status: make_task(batch, make_device(batch.product), status, **values) for status in TaskStatus}


def devices(batch: Batch, query: str = "") -> str:
    return f"/ota/batches/{batch.public_id}/devices/{query}"


def test_devices_are_grouped_by_the_seven_labels(console: Console, batch: Batch) -> None:
    """Counts of all seven are shown and filter the list (seed, design §5)."""
    tasks = fill(batch)
    page = console.get(devices(batch))
    assert page.rows == [task.public_id for task in tasks.values()]
    for status, label in LABELS.items():
        assert page.count(status.name) == "1"
        assert label in page.text
        assert console.get(devices(batch, f"?state={status.name}")).rows == [tasks[status].public_id]
    two = console.get(devices(batch, "?state=FAILED,CANCELED")).rows
    assert two == [tasks[TaskStatus.FAILED].public_id, tasks[TaskStatus.CANCELED].public_id]


def test_to_be_pushed_has_three_forms(console: Console, batch: Batch) -> None:
    """Plain, Device Offline, Scheduled with its time; each filters."""
    online = make_task(batch, make_device(batch.product))
    offline = make_task(batch, make_device(batch.product, is_online=False))
    page = console.get(devices(batch))
    assert (page.count("QUEUED_PLAIN"), page.count("QUEUED_OFFLINE")) == ("1", "1")
    assert "To Be Pushed (Device Offline)" in page.text
    assert console.get(devices(batch, "?state=QUEUED_OFFLINE")).rows == [offline.public_id]
    assert console.get(devices(batch, "?state=QUEUED_PLAIN")).rows == [online.public_id]
    start = (now() + timedelta(days=1)).replace(microsecond=0)
    Batch.objects.filter(pk=batch.pk).update(schedule_at=start, status=BatchStatus.PLANNED)
    page = console.get(devices(batch))
    assert f"To Be Pushed (Scheduled: {start:%Y/%m/%d %H:%M:%S})" in page.text
    assert (page.count("QUEUED_SCHEDULED"), page.count("QUEUED_OFFLINE")) == ("2", "0")


def test_a_long_list_goes_on_page_by_page(console: Console, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row once and in order, over all states; htmx gets the rows alone."""
    monkeypatch.setattr(task_rows, "PAGE_SIZE", 4)
    tasks = [
        make_task(batch, device, TaskStatus(number % 7))
        for number, device in enumerate(make_devices(batch.product, 10))
    ]
    seen: list[str] = []
    for _ in range(3):
        page = console.get(devices(batch, f"?after={seen[-1] if seen else ''}"), HTMX)
        assert "<html" not in page.html
        seen += page.rows
    assert seen == [task.public_id for task in tasks]


def test_devices_are_found_by_a_part_of_their_name(console: Console, batch: Batch) -> None:
    """Signs that LIKE knows are taken literally."""
    wanted = make_task(batch, make_device(batch.product, name="meter_100"))
    make_task(batch, make_device(batch.product, name="meterX100"))
    assert console.get(devices(batch, "?q=er_1")).rows == [wanted.public_id]
    assert "No device update matches these filters." in console.get(devices(batch, "?q=nobody")).text


def test_failures_are_ranked_by_reason_and_filter_the_list(console: Console, batch: Batch) -> None:
    """The device's code before the seed's words, its own text in quotes."""
    for reason in (Reason.DOWNLOAD_FAILED, Reason.VERIFICATION_FAILED, Reason.VERIFICATION_FAILED):
        make_task(batch, make_device(batch.product), TaskStatus.FAILED, reason=reason, reason_text="bad sum")
    page = console.get(devices(batch))
    assert page.text.index("−3 The verification failed 2 66.7 %") < page.text.index("−2 The download failed 1 33.3 %")
    assert "−3 The verification failed, “bad sum”" in page.text
    assert len(console.get(devices(batch, "?state=FAILED&reason=VERIFICATION_FAILED")).rows) == 2
    part = console.get(devices(batch, "?part=failures"))
    assert ("<html" in part.html, "The download failed" in part.text) == (False, True)


def test_a_waiting_retry_keeps_the_state_and_tells_its_attempt(console: Console) -> None:
    """Seed: during a retry the update status does not change."""
    batch = make_batch(make_package(make_product()), retry_count=1, retry_interval_minutes=10)
    waiting = {"is_retry_pending": True, "attempt": 1, "reason": Reason.DOWNLOAD_FAILED}
    later = now() + timedelta(minutes=5)
    make_task(batch, make_device(batch.product), TaskStatus.NOTIFIED, not_before=later, **waiting)
    page = console.get(devices(batch))
    assert "1 of 2" in page.text
    assert f"Retrying at {later:%H:%M:%S}, last failure: −2 The download failed" in page.text


@pytest.mark.parametrize(
    ("status", "is_open"),
    [
        (BatchStatus.PLANNED, False),
        (BatchStatus.IN_PROGRESS, True),
        (BatchStatus.COMPLETED, False),
        (BatchStatus.CANCELED, False),
    ],
)
def test_edit_stands_next_to_tag_information_only_while_upgrading(
    console: Console, batch: Batch, status: BatchStatus, *, is_open: bool
) -> None:
    """Seed; the dialog itself opens only then."""
    Batch.objects.filter(pk=batch.pk).update(status=status)
    address = f"/ota/batches/{batch.public_id}/info/"
    assert ('?dialog=edit-tags" data-dialog data-while="IN_PROGRESS PAUSED">' in console.get(address).html) is is_open
    assert ("Edit tag" in console.get(f"{address}?dialog=edit-tags", DIALOG).text) is is_open


def test_tags_are_edited_in_the_edit_tag_dialog(console: Console, batch: Batch) -> None:
    """Seed: enter the tag key and tag value, and then click OK."""
    address = f"/ota/batches/{batch.public_id}/"
    dialog = console.get(f"{address}info/?dialog=edit-tags", DIALOG)
    assert "Device notifications will use the new tags within one minute." in dialog.text
    wrong = console.post(f"{address}edit/", {"part": "edit-tags", "tag_key": "on_call", "tag_value": "x"}, HTMX)
    assert (wrong.status, "letters, digits and periods" in wrong.text) == (422, True)
    saved = console.post(f"{address}edit/", {"part": "edit-tags", "tag_key": "wave", "tag_value": "3"}, HTMX)
    assert saved.location == f"{address}info/"
    assert list(batch.tags.values_list("key", "value")) == [("wave", "3")]


def test_the_rate_is_edited_but_not_its_type(console: Console, batch: Batch) -> None:
    """Values only; tags stay as they are."""
    batch.tags.create(position=1, key="a", value="b")
    address = f"/ota/batches/{batch.public_id}/"
    dialog = console.get(f"{address}info/?dialog=edit-rate", DIALOG)
    assert "The type cannot be changed while the batch is Upgrading." in dialog.text
    assert 'name="rate_kind"' not in dialog.html
    console.post(f"{address}edit/", {"part": "edit-rate", "rate_per_minute": "700"})
    batch.refresh_from_db()
    assert (batch.rate_per_minute, batch.tags.count()) == (700, 1)
    refused = console.post(f"{address}edit/", {"part": "edit-rate", "rate_per_minute": "0"}, HTMX)
    assert "Enter a rate of 1 to 100,000 devices per minute" in refused.text


def test_somebody_elses_edit_in_between_is_not_overwritten(console: Console, batch: Batch) -> None:
    """The dialog stays open and says so."""
    seen = batch.updated_at.isoformat()
    Batch.objects.filter(pk=batch.pk).update(updated_at=now())
    data = {"part": "edit-rate", "rate_per_minute": "5", "seen_at": seen}
    answer = console.post(f"/ota/batches/{batch.public_id}/edit/", data, HTMX)
    assert answer.status == 422
    batch.refresh_from_db()
    assert batch.rate_per_minute is None


def test_cancel_of_a_static_batch_says_what_happens_to_each_device(console: Console, batch: Batch) -> None:
    """In counts by status, with the harmless button focused; then everything unfinished is canceled."""
    fill(batch)
    dialog = console.get(devices(batch, "?dialog=cancel"), DIALOG)
    assert "Cancel this batch and 4 device updates?" in dialog.text
    assert "data-close autofocus>Keep batch" in dialog.html
    assert 'role="alertdialog"' in dialog.html
    assert "1 Updated, 1 Update failed, 1 Canceled." in dialog.text
    whole = console.get(devices(batch, "?dialog=cancel"))
    assert "Cancel this batch and 4 device updates?" in whole.text
    assert console.post(f"/ota/batches/{batch.public_id}/cancel/", {}, HTMX).location == devices(batch)
    batch.refresh_from_db()
    assert (batch.status, batch.cancel_mask) == (BatchStatus.CANCELED, 0b1111)


@pytest.mark.parametrize(("data", "mask"), [({}, 0), ({"include_ongoing": "on"}, 0b1111)])
def test_cancel_of_a_dynamic_batch_takes_its_ongoing_updates_only_on_request(
    console: Console, data: dict[str, str], mask: int
) -> None:
    """Seed: by default only the dynamic update policy."""
    package = make_package(make_product())
    batch = make_batch(package, selection=Batch.Selection.DYNAMIC, source_versions=["1.0"])
    fill(batch)
    dialog = console.get(devices(batch, "?dialog=cancel"), DIALOG)
    assert "Cancel the dynamic update policy?" in dialog.text
    assert 'name="include_ongoing">Also cancel ongoing updates' in dialog.html
    console.post(f"/ota/batches/{batch.public_id}/cancel/", data)
    batch.refresh_from_db()
    assert (batch.status, batch.cancel_mask) == (BatchStatus.CANCELED, mask)


def test_all_updates_that_are_not_upgrading_are_canceled_at_once(console: Console, batch: Batch) -> None:
    """Seed: Pending Confirmation, To Be Pushed, or Pushed."""
    fill(batch)
    dialog = console.get(devices(batch, "?dialog=cancel-waiting"), DIALOG)
    assert "Cancel 3 updates that are not yet upgrading?" in dialog.text
    console.post(f"/ota/batches/{batch.public_id}/cancel-waiting/")
    batch.refresh_from_db()
    assert (batch.status, batch.cancel_mask) == (BatchStatus.IN_PROGRESS, 0b0111)


def test_several_ticked_devices_are_canceled(console: Console, batch: Batch) -> None:
    """Upgrading ones too; ended ones are told apart (seed, rules.md §3)."""
    tasks = fill(batch)
    picked = [tasks[TaskStatus.QUEUED].public_id, tasks[TaskStatus.IN_PROGRESS].public_id]
    query = "&".join(f"task={name}" for name in picked)
    dialog = console.get(devices(batch, f"?dialog=cancel-devices&{query}"), DIALOG)
    assert "Cancel the updates of 2 devices?" in dialog.text
    ended = tasks[TaskStatus.SUCCEEDED].public_id
    console.post(f"/ota/batches/{batch.public_id}/cancel-devices/", {"task": [*picked, ended]})
    assert set(Task.objects.filter(public_id__in=picked).values_list("status", flat=True)) == {TaskStatus.CANCELED}
    page = console.get(devices(batch))
    assert "2 updates canceled. 1 had ended before." in page.text


def test_one_device_is_canceled_and_started_again_in_its_row(console: Console, batch: Batch) -> None:
    """At once, with a toast; the row comes back as it stands."""
    task = make_task(batch, make_device(batch.product, name="meter-one"))
    address = f"/ota/batches/{batch.public_id}/tasks/{task.public_id}/"
    canceled = console.post(f"{address}cancel/", {}, HTMX)
    assert canceled.rows == [task.public_id]
    assert "Canceled by an operator" in canceled.text
    assert "The update of meter-one is canceled." in canceled.response["HX-Trigger"]
    again = console.post(f"{address}cancel/", {}, HTMX)
    assert '"kind": "bad"' in again.response["HX-Trigger"]
    assert "To Be Pushed" in console.post(f"{address}re-upgrade/", {}, HTMX).text


def test_an_update_that_awaits_its_user_can_be_confirmed(console: Console) -> None:
    """In the app's place."""
    batch = make_batch(make_package(make_product()), needs_confirm=True)
    task = make_task(batch, make_device(batch.product), TaskStatus.CONFIRM)
    address = f"/ota/batches/{batch.public_id}/tasks/{task.public_id}/confirm/"
    assert "Waiting for its turn in the push rate" in console.post(address, {}, HTMX).text


def test_pause_and_resume(console: Console, batch: Batch) -> None:
    """A flag on Upgrading (rules.md §3)."""
    console.post(f"/ota/batches/{batch.public_id}/pause/")
    page = console.get(devices(batch))
    assert 'data-status="PAUSED"' in page.html
    assert "Nothing is pushed. Devices that are Upgrading go on" in page.text
    console.post(f"/ota/batches/{batch.public_id}/resume/")
    assert 'data-status="IN_PROGRESS"' in console.get(devices(batch)).html


def test_a_dialog_leads_back_to_the_page_that_opened_it(console: Console, batch: Batch) -> None:
    """Its filters stay, the dialog goes; another site is never followed."""
    seen = "http://testserver/ota/batches/?state=IN_PROGRESS&dialog=cancel&task=x"
    headers = {**HTMX, "HX-Current-URL": seen}
    pause = f"/ota/batches/{batch.public_id}/pause/"
    assert console.post(pause, {}, headers).location == "/ota/batches/?state=IN_PROGRESS"
    elsewhere = {**HTMX, "HX-Current-URL": "https://example.com/x"}
    assert console.post(pause, {}, elsewhere).location == devices(batch)


def test_the_list_of_all_batches_is_narrowed_by_its_address(console: Console, batch: Batch) -> None:
    """Paused is a filter of its own; an id is found whole."""
    other = make_batch(make_package(make_product()), status=BatchStatus.COMPLETED)
    Batch.objects.filter(pk=batch.pk).update(paused_at=now())
    for query in ("state=PAUSED", f"q={batch.public_id}", f"q={batch.package.name}"):
        page = console.get(f"/ota/batches/?{query}")
        assert (batch.public_id in page.html, other.public_id in page.html) == (True, False), query


@pytest.mark.parametrize("tab", ["devices/", "info/"])
def test_an_unknown_batch_is_not_found(console: Console, tab: str) -> None:
    """With the sentence of the error."""
    page = console.get(f"/ota/batches/nothing/{tab}")
    assert (page.status, "This batch does not exist." in page.text) == (404, True)
