"""An operator launches, watches, edits and cancels batches in a real browser, against real devices."""

import re

from playwright.sync_api import Page, expect

from ota_console.demo.processes import wait_until
from tests.browser.conftest import DEVICES, Console

LONG = 60_000
LABELS = ("Pending Confirmation", "To Be Pushed", "Pushed", "Upgrading", "Updated", "Update failed", "Canceled")


def count(page: Page, name: str) -> int:
    """A number of the strip of counts."""
    words = page.locator(f"a[data-state-name={name}] [data-count]").first.inner_text()
    return int(words.replace(",", ""))


def launch(page: Page, console: Console, package: str, *, rate: str = "") -> str:
    """Launch a batch over all devices through the form; the id of the batch whose page opens."""
    page.goto(f"/ota/packages/{console.package(package)}/launch/")
    page.locator("input[name=rate_constant]").fill(rate)
    page.get_by_role("button", name="Next: review and launch").click()
    page.get_by_role("button", name=re.compile("^Launch to")).click()
    page.wait_for_url("**/ota/batches/*/devices/")
    return page.url.rstrip("/").split("/")[-2]


def test_a_batch_is_watched_from_launch_to_end_without_a_reload(page: Page, console: Console) -> None:
    """Labels and counts change by themselves; in the end page, API and recount agree."""
    batch = launch(page, console, "meter-firmware")
    page.evaluate("window.stillThisPage = true")
    for label in LABELS:
        expect(page.get_by_role("link", name=re.compile(label)).first).to_be_visible()
    expect(page.locator("[data-count=all]").first).to_have_text(str(DEVICES), timeout=LONG)
    row = page.locator("tbody tr").first
    expect(row).to_contain_text(re.compile("Upgrading|Updated|Update failed"), timeout=LONG)
    expect(page.locator("h1 + *, .title").get_by_text("Completed").first).to_be_visible(timeout=2 * LONG)
    counts = console.counts(batch)
    assert {name: count(page, name) for name in counts} == counts
    assert sum(counts.values()) == DEVICES
    assert counts["SUCCEEDED"] > counts["FAILED"]
    assert page.evaluate("window.stillThisPage")
    assert console.manage("check_consistency").returncode == 0


def test_rate_and_tags_are_edited_and_the_batch_canceled_while_it_runs(page: Page, console: Console) -> None:
    """Seed: Edit while Upgrading; Cancel of a static batch takes all unfinished updates with it."""
    batch = launch(page, console, "meter-radio", rate="1")
    expect(page.locator(".title").get_by_text("Upgrading").first).to_be_visible(timeout=LONG)
    page.goto(f"/ota/batches/{batch}/info/")
    page.get_by_role("link", name="Edit Tag information").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Edit tag")).to_be_visible()
    dialog.get_by_label("Tag key").first.fill("wave")
    dialog.get_by_label("Tag value").first.fill("3")
    dialog.get_by_role("button", name="OK").click()
    expect(page.get_by_text("wave").first).to_be_visible()
    page.get_by_role("link", name="Edit Update package push rate").click()
    page.get_by_role("dialog").locator("input[name=rate_per_minute]").fill("2")
    page.get_by_role("dialog").get_by_role("button", name="Set to 2").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    edited = console.api.get(f"batches/{batch}/").json()
    assert (edited["tags"], edited["rate_per_minute"]) == ([{"key": "wave", "value": "3"}], 2)

    page.goto(f"/ota/batches/{batch}/devices/")
    page.get_by_role("link", name="Cancel", exact=True).first.click()
    question = page.get_by_role("alertdialog")
    expect(question).to_contain_text("Cancel this batch and")
    expect(question.get_by_text("Keep batch")).to_be_focused()
    question.get_by_role("button", name=re.compile(r"^Cancel \d+ updates?$")).click()
    expect(page.locator(".title").get_by_text("Canceled").first).to_be_visible(timeout=LONG)
    assert wait_until(lambda: console.counts(batch)["CANCELED"] >= sum(console.counts(batch).values()) - 3, 30)
    counts = console.counts(batch)
    assert wait_until(lambda: count(page, "CANCELED") == counts["CANCELED"], 10)
    assert counts["QUEUED"] == counts["NOTIFIED"] == counts["IN_PROGRESS"] == 0
    assert console.manage("check_consistency").returncode == 0


def test_ticked_devices_are_canceled_and_the_others_go_on(page: Page, console: Console) -> None:
    """Seed: cancel the update task for a single device or for multiple devices."""
    batch = launch(page, console, "meter-radio", rate="1")
    boxes = page.locator("tbody input[type=checkbox]:enabled")
    expect(boxes.nth(5)).to_be_visible(timeout=LONG)
    boxes.nth(4).check()
    boxes.nth(5).check()
    page.get_by_role("button", name="Cancel update").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Cancel 2 updates").click()
    assert wait_until(lambda: console.counts(batch)["CANCELED"] == 2, 30)
    counts = console.counts(batch)
    assert counts["QUEUED"] >= sum(counts.values()) - 5
    console.api.post(f"batches/{batch}/cancel/", json={})
    assert wait_until(lambda: console.counts(batch)["QUEUED"] == 0, 30)


def test_the_live_page_survives_a_lost_connection(page: Page, console: Console) -> None:
    """A quiet notice while the socket is away; afterwards the page catches up by itself."""
    batch = launch(page, console, "meter-radio", rate="1")
    page.context.set_offline(True)
    page.evaluate("window.dispatchEvent(new Event('offline'))")
    console.api.post(f"batches/{batch}/cancel/", json={})
    assert wait_until(lambda: console.counts(batch)["QUEUED"] == 0, 30)
    page.context.set_offline(False)
    expect(page.locator(".title").get_by_text("Canceled").first).to_be_visible(timeout=LONG)
    assert count(page, "CANCELED") == console.counts(batch)["CANCELED"]
