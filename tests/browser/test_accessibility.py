"""Every page, wide and light, narrow and dark: what axe-core finds, and that nothing scrolls sideways."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Console

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FIND = """async (rules) => (await axe.run(document, {runOnly: rules})).violations
    .map((found) => `${found.id}: ${found.nodes[0].target.join(" ")}`)"""
SIZES = {"wide": {"width": 1440, "height": 900}, "narrow": {"width": 390, "height": 844}}


@pytest.fixture
def addresses(console: Console) -> list[str]:
    """Each page and dialog of the first version, with something on it."""
    package = console.package("meter-delta")
    body = {"package": package, "selection": "DYNAMIC", "source_versions": ["1.0.3"], "needs_push": False}
    batch = console.api.post("batches/", json=body).json()["id"]
    return [
        "/ota/packages/",
        "/ota/packages/new/",
        *(f"/ota/packages/{package}/{tab}/" for tab in ("batches", "devices", "info", "launch")),
        f"/ota/packages/{console.package('meter-firmware-next')}/verify/",
        "/ota/batches/",
        f"/ota/batches/{batch}/devices/",
        f"/ota/batches/{batch}/devices/?device=meter-0001",
        *(f"/ota/batches/{batch}/devices/?dialog={name}" for name in ("cancel", "cancel-waiting")),
        f"/ota/batches/{batch}/info/",
        *(f"/ota/batches/{batch}/info/?dialog={name}" for name in ("edit", "edit-rate", "edit-tags")),
        "/devices/",
        "/no/such/page/",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "theme"), [("wide", "light"), ("narrow", "dark")])
def test_pages_are_accessible_and_fit_the_screen(
    page: Page, console: Console, addresses: list[str], size: str, theme: str
) -> None:
    """WCAG 2.2 AA as far as a machine sees it (design §8)."""
    page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]  # playwright's own dictionary type
    page.context.add_cookies([{"name": "theme", "value": theme, "url": console.url}])
    problems: list[str] = []
    for address in addresses:
        page.goto(address)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        problems += [f"{address} {found}" for found in page.evaluate(FIND, RULES)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"{address} scrolls sideways")
    assert problems == []
    console.api.post(f"batches/{addresses[8].split('/')[3]}/cancel/", json={"include_ongoing": True})
