"""The procedure of the page "View update status" (the seed), step by step, in a real browser on the real server."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from playwright.sync_api import Browser, Locator, Page, expect

from batches_app.domain.states import (
    CANCELED,
    CONFIRM,
    FAILED,
    IN_PROGRESS,
    NOTIFIED,
    QUEUED,
    SUCCEEDED,
    BatchStatus,
    Reason,
    TaskStatus,
)
from batches_app.models import Batch, Task
from ota_console.core import clock
from packages_app.models import UpdatePackage
from tests.factories import make_batch, make_device, make_package, make_product, make_task
from tests.flows.rig import PASSWORD, Rig, rig
from tests.servers import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

PARTS = ("redis", "web", "downloads", "worker", "relay", "beat")
"""No devices and no broker: what is shown was written down before."""
LABELS = {
    CONFIRM: "Pending Confirmation",
    QUEUED: "To Be Pushed",
    NOTIFIED: "Pushed",
    IN_PROGRESS: "Upgrading",
    SUCCEEDED: "Updated",
    FAILED: "Update failed",
    CANCELED: "Canceled",
}
FAILURES = {
    Reason.UPDATE_FAILED: "−1 The update failed",
    Reason.DOWNLOAD_FAILED: "−2 The download failed",
    Reason.VERIFICATION_FAILED: "−3 The verification failed",
    Reason.FLASHING_FAILED: "−4 The flashing failed",
    Reason.TIMEOUT: "Timeout",
    Reason.VERSION_MISMATCH: "Unexpected version reported",
    Reason.CONFLICT: "Conflict",
}
UNFINISHED = (CONFIRM, QUEUED, NOTIFIED, IN_PROGRESS)


@pytest.fixture(scope="module", autouse=True)
def _database_beside_playwright() -> Iterator[None]:
    """Playwright's event loop is not Django's: nothing else runs in this thread while a test asks its database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


@pytest.fixture
def package(transactional_db: None) -> UpdatePackage:
    return make_package(make_product(), name="meter-main", version="2.0")


@pytest.fixture
def server(package: UpdatePackage, tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path, parts=PARTS) as running:
        yield running


@pytest.fixture
def page(server: Rig, browser: Browser) -> Iterator[Page]:
    """The first step: sign in. A script error fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=server.stack.config.public_url)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto("/login/")
    opened.locator("input[name=username]").fill("operator")
    opened.locator("input[name=password]").fill(PASSWORD)
    opened.locator("button[type=submit]").click()
    opened.wait_for_url("**/ota/packages/")
    yield opened
    context.close()
    assert errors == []


def task(batch: Batch, status: TaskStatus, **values: Any) -> Task:
    """Of a device of its own; nobody pushes it."""
    is_online = values.pop("is_online", True)
    return make_task(batch, make_device(batch.product, is_online=is_online), status, due_at=None, **values)


def row(page: Page, of: Task) -> Locator:
    return page.locator(f"tr[data-task='{of.public_id}']")


def status_of(tasks: list[Task]) -> list[int]:
    return [Task.objects.get(pk=one.pk).status for one in tasks]


def reach(tasks: list[Task], statuses: Sequence[TaskStatus]) -> None:
    assert wait_until(lambda: status_of(tasks) == list(statuses), 30), status_of(tasks)


def test_the_procedure(page: Page, package: UpdatePackage, server: Rig) -> None:
    """From the navigation to each tab: types, labels, forms, reasons, edits, cancels, device list, download."""
    with transaction.atomic():  # else the server may find a batch without updates, and end it
        batch = make_batch(package, rate_per_minute=60)
        tasks = {status: task(batch, status) for status in TaskStatus}
    verify = make_batch(package, kind=Batch.Kind.VERIFY, status=BatchStatus.COMPLETED, is_open=False)
    offline = task(batch, QUEUED, is_online=False)
    failed = {reason: task(batch, FAILED, reason=reason) for reason in FAILURES}
    find_the_package(page)
    see_types_and_actions(page, batch, verify)
    see_every_label(page, tasks, offline)
    see_why_updates_failed(page, failed)
    see_the_scheduled_form(page, package)
    edit_tags_only_while_upgrading(page, batch, verify)
    cancel_all_that_wait(page, batch, [tasks[CONFIRM], tasks[QUEUED], tasks[NOTIFIED], offline], tasks[IN_PROGRESS])
    see_the_device_list(page, package, tasks[IN_PROGRESS])
    see_the_package_information(page, package)
    assert server.manage("check_consistency").returncode == 0


def find_the_package(page: Page) -> None:
    """Choose Maintenance > OTA Update; find the package and click View in the Actions column."""
    expect(page.get_by_role("navigation").get_by_text("Maintenance").first).to_be_visible()
    page.get_by_role("link", name="OTA Update").first.click()
    page.get_by_role("row", name=re.compile("meter-main")).get_by_role("link", name="View").click()
    for tab in ("Batch management", "Device list", "Update package information"):
        expect(page.get_by_role("link", name=re.compile(f"^{tab}"))).to_be_visible()


def see_types_and_actions(page: Page, batch: Batch, verify: Batch) -> None:
    """The types of update batches; Edit and Cancel appear while a batch is Upgrading; View leads to Batch details."""
    running, ended = (page.locator(f"tr[data-batch='{one.public_id}']") for one in (batch, verify))
    expect(running).to_contain_text("Batch update")
    expect(ended).to_contain_text("Verify update package")
    for action in ("Edit", "Cancel"):
        expect(running.get_by_role("link", name=action)).to_be_visible()
        expect(ended.get_by_role("link", name=action)).to_be_hidden()
    running.get_by_role("link", name="View").click()
    page.wait_for_url(f"**/ota/batches/{batch.public_id}/devices/")


def see_every_label(page: Page, tasks: dict[TaskStatus, Task], offline: Task) -> None:
    """The devices of the batch, grouped by their update status; To Be Pushed in its specific form."""
    for status, label in LABELS.items():
        expect(row(page, tasks[status]).locator("[data-cell=state]")).to_have_text(label)
        expect(page.locator(f"a[data-state-name={status.name}]")).to_contain_text(label)
    expect(row(page, offline).locator("[data-cell=state]")).to_have_text("To Be Pushed (Device Offline)")
    page.locator("a[data-state-name=QUEUED]").click()
    expect(row(page, offline)).to_be_visible()
    expect(row(page, tasks[NOTIFIED])).to_have_count(0)
    page.get_by_role("link", name=re.compile(r"^To Be Pushed \(Device Offline\)")).click()
    expect(row(page, tasks[QUEUED])).to_have_count(0)
    expect(row(page, offline)).to_be_visible()


def see_why_updates_failed(page: Page, failed: dict[Reason, Task]) -> None:
    """Conflict, the four codes, time-out, a version that is neither."""
    page.locator("a[data-state-name=FAILED]").click()
    for reason, words in FAILURES.items():
        expect(row(page, failed[reason])).to_contain_text(words)


def see_the_scheduled_form(page: Page, package: UpdatePackage) -> None:
    """To Be Pushed (Scheduled: YYYY/MM/DD hh:mm:ss)."""
    start = (clock.now() + timedelta(days=1)).replace(microsecond=0)
    with transaction.atomic():
        planned = make_batch(package, status=BatchStatus.PLANNED, schedule_at=start)
        waiting = task(planned, QUEUED, not_before=start)
    page.goto(f"/ota/batches/{planned.public_id}/devices/")
    words = f"To Be Pushed (Scheduled: {start:%Y/%m/%d %H:%M:%S})"
    expect(row(page, waiting).locator("[data-cell=state]")).to_have_text(words)


def edit_tags_only_while_upgrading(page: Page, batch: Batch, verify: Batch) -> None:
    """Batch information: Edit next to Tag information; key and value; OK. The rate's values, but not its type."""
    page.goto(f"/ota/batches/{verify.public_id}/info/")
    expect(page.get_by_role("link", name="Edit Tag information")).to_be_hidden()
    page.goto(f"/ota/batches/{batch.public_id}/info/")
    page.get_by_role("link", name="Edit Tag information").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Tag key").first.fill("wave")
    dialog.get_by_label("Tag value").first.fill("3")
    dialog.get_by_role("button", name="OK").click()
    expect(page.get_by_text("wave").first).to_be_visible()
    page.get_by_role("link", name="Edit Update package push rate").click()
    expect(page.get_by_role("dialog").locator("input[name=rate_base_per_minute]")).to_have_count(0)
    page.get_by_role("dialog").locator("input[name=rate_per_minute]").fill("90")
    page.get_by_role("dialog").get_by_role("button", name="Set to 90").click()
    expect(page.get_by_text("Push rate saved. In effect within 5 s.")).to_be_visible()
    assert wait_until(lambda: Batch.objects.get(pk=batch.pk).rate_per_minute == 90, 30)
    assert list(batch.tags.values_list("key", "value")) == [("wave", "3")]


def cancel_all_that_wait(page: Page, batch: Batch, waiting: list[Task], upgrading: Task) -> None:
    """All tasks that are Pending Confirmation, To Be Pushed or Pushed; those that are Upgrading stay."""
    page.goto(f"/ota/batches/{batch.public_id}/devices/?dialog=cancel-waiting")
    page.get_by_role("alertdialog").get_by_role("button", name="Cancel 4 updates").click()
    reach([*waiting, upgrading], [CANCELED] * 4 + [IN_PROGRESS])
    expect(row(page, waiting[0]).locator("[data-cell=state]")).to_have_text("Canceled")


def see_the_device_list(page: Page, package: UpdatePackage, upgrading: Task) -> None:
    """Target devices, statistics, View to the Batch details page; there the device's update is canceled."""
    page.goto(f"/ota/packages/{package.public_id}/devices/")
    for name, count in {"SUCCEEDED": "1", "FAILED": "8", "CANCELED": "5"}.items():
        expect(page.locator(f"[data-count={name}]").first).to_have_text(count)
    page.get_by_role("link", name=f"View {upgrading.device_name}").click()
    drawer = page.get_by_role("complementary", name=upgrading.device_name)
    drawer.get_by_role("button", name="Cancel").click()
    expect(row(page, upgrading).locator("[data-cell=state]")).to_have_text("Canceled")
    assert status_of([upgrading]) == [CANCELED]


def see_the_package_information(page: Page, package: UpdatePackage) -> None:
    """ID, name, signature, algorithm, version number, status, module; Download next to the signature."""
    page.goto(f"/ota/packages/{package.public_id}/info/")
    terms = page.locator("dl").first
    values = (package.public_id, "meter-main", package.sign, "MD5", "2.0", "Verification not required", "default")
    for value in values:
        expect(terms).to_contain_text(value)
    with page.expect_download() as download:
        terms.get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes() == b"firmware"


def test_cancel_of_batches(page: Page, package: UpdatePackage) -> None:
    """A static batch is canceled with all its tasks. Of a dynamic one only the policy; its tasks too where ticked."""
    values: dict[str, Any] = {"selection": Batch.Selection.DYNAMIC, "source_versions": ["1.0"]}
    for is_ticked in (False, True):
        with transaction.atomic():
            batch = make_batch(package, **values)
            ongoing = [task(batch, status) for status in UNFINISHED]
        question = ask_to_cancel(page, batch)
        expect(question.get_by_label("Also cancel ongoing updates")).not_to_be_checked()
        if is_ticked:
            question.get_by_label("Also cancel ongoing updates").check()
        question.get_by_role("button", name=re.compile("^Cancel policy")).click()
        expect(page.locator(f"tr[data-batch='{batch.public_id}'] [data-batch-state]")).to_have_text("Canceled")
        expected = [CANCELED] * 4 if is_ticked else list(UNFINISHED)
        reach(ongoing, expected)
    with transaction.atomic():
        static = make_batch(package)
        ongoing = [task(static, status) for status in UNFINISHED]
    ask_to_cancel(page, static).get_by_role("button", name="Cancel 4 updates").click()
    reach(ongoing, [CANCELED] * 4)
    assert Batch.objects.get(pk=static.pk).status == BatchStatus.CANCELED


def ask_to_cancel(page: Page, batch: Batch) -> Locator:
    """Click Cancel in the Actions column for the batch."""
    page.goto(f"/ota/packages/{batch.package.public_id}/batches/")
    page.locator(f"tr[data-batch='{batch.public_id}']").get_by_role("link", name="Cancel").click()
    return page.get_by_role("alertdialog")
