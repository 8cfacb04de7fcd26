"""What stays true on an open batch page, the drawer of a device, and dialogs that are opened by their link."""

import re

import pytest
from playwright.sync_api import Page, expect

from ota_console.demo.processes import wait_until
from tests.browser.conftest import Console
from tests.browser.test_batches import LONG, launch


def cancel(console: Console, batch: str) -> None:
    """So that the next test's devices are free."""
    console.api.post(f"batches/{batch}/cancel/", json={})
    assert wait_until(lambda: console.counts(batch)["QUEUED"] == 0, 30)


def test_a_canceled_batch_offers_no_second_start(page: Page, console: Console) -> None:
    """Rows that are redrawn live know only their own state; the batch says that nothing starts again."""
    batch = launch(page, console, "meter-radio", rate="1")
    row = page.locator("tr[data-open]").nth(5)
    expect(row).to_be_visible(timeout=LONG)
    row.get_by_role("button", name=re.compile("^Cancel")).click()
    expect(page.get_by_role("button", name=re.compile("^Re-upgrade")).first).to_be_visible()
    cancel(console, batch)
    expect(page.locator("tr[data-open]")).to_have_count(0, timeout=LONG)
    expect(page.get_by_role("button", name=re.compile("^Re-upgrade"))).to_have_count(0)


def test_what_another_operator_changes_comes_by_itself(page: Page, console: Console) -> None:
    """The rate's words and the notice of a pause, without a reload."""
    batch = launch(page, console, "meter-radio", rate="1")
    expect(page.locator("#limits")).to_contain_text("1 per minute")
    console.api.patch(f"batches/{batch}/", json={"rate_per_minute": 3}).raise_for_status()
    expect(page.locator("#limits")).to_contain_text("3 per minute", timeout=LONG)
    console.api.post(f"batches/{batch}/pause/").raise_for_status()
    expect(page.get_by_text("Nothing is pushed. Devices that are Upgrading go on")).to_be_visible(timeout=LONG)
    cancel(console, batch)


def test_view_opens_the_drawer_of_exactly_that_device(page: Page, console: Console) -> None:
    """The address holds it, Escape closes it, the focus returns; the list beside it stays usable."""
    batch = launch(page, console, "meter-radio", rate="1")
    expect(page.locator("tr[data-open]").nth(5)).to_be_visible(timeout=LONG)
    one, other = page.locator("tr[data-open] th").all_inner_texts()[-2:]
    page.goto(f"/ota/packages/{console.package('meter-radio')}/devices/?batch={batch}")
    page.get_by_role("link", name=f"View {one}").click()
    drawer = page.get_by_role("complementary", name=one)
    expect(drawer).to_contain_text("Why is this device not updated?")
    assert page.url.endswith(f"/ota/batches/{batch}/devices/?device={one}")
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    assert page.url.endswith("/devices/")
    link = page.get_by_role("link", name=f"View {other}")
    link.click()
    drawer = page.get_by_role("complementary", name=other)
    expect(drawer.locator("#drawer-title")).to_be_focused()
    drawer.get_by_role("button", name="Cancel").click()
    expect(drawer).to_contain_text("An operator canceled this update.")
    expect(page.locator("tr.shown [data-cell=state]")).to_have_text("Canceled")
    page.keyboard.press("Escape")
    expect(link).to_be_focused()
    cancel(console, batch)


def test_an_open_drawer_follows_its_device(page: Page, console: Console) -> None:
    """Its sentence, its facts and its history, without a reload."""
    body = {"package": console.package("meter-radio"), "target": "SPECIFIC", "device_names": ["meter-0023"]}
    batch = console.api.post("batches/", json=body).json()["id"]
    page.goto(f"/ota/batches/{batch}/devices/?device=meter-0023")
    expect(page.locator("#drawer-why")).to_contain_text(re.compile("new version|a failure"), timeout=LONG)
    expect(page.locator("#drawer-history li").first).to_contain_text(re.compile("Reported 2.0.0|failed"))
    expect(page.locator("#drawer-history")).to_contain_text("Progress 0 %")


@pytest.mark.parametrize("width", [1440, 390])
def test_a_dialog_by_its_link_leaves_the_page_behind_it_alone(page: Page, console: Console, width: int) -> None:
    """The harmless button has the focus; the list is where it was, and nothing is off the screen."""
    page.set_viewport_size({"width": width, "height": 844})
    batch = launch(page, console, "meter-radio", rate="1")
    expect(page.locator("tr[data-task]").first).to_be_visible(timeout=LONG)
    page.goto(f"/ota/batches/{batch}/devices/?dialog=cancel")
    dialog = page.get_by_role("alertdialog")
    expect(dialog.get_by_text("Keep batch")).to_be_focused()
    assert page.evaluate("scrollY") == 0
    for name in ("Keep batch", "Pause instead"):
        expect(dialog.get_by_text(name)).to_be_in_viewport(ratio=1)
    cancel(console, batch)
