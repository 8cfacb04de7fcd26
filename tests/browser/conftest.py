"""The whole embedded stack with simulated devices, and a real browser signed in to it."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ota_console.demo.processes import wait_until
from ota_console.demo.stack import Stack
from ota_console.demo.stack_config import Ports, StackConfig, load_secrets

DEVICES = 24
PASSWORD = "a-password-for-tests"
CHROMIUM = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-quic", "--disable-background-networking"]


@dataclass(frozen=True, slots=True)
class Console:
    """A running console, as an integration sees it."""

    url: str
    api: httpx.Client
    config: StackConfig

    def package(self, name: str) -> str:
        """The id of a seeded package."""
        found = self.api.get("packages/").json()["results"]
        return str(next(package["id"] for package in found if package["name"] == name))

    def counts(self, batch: str) -> dict[str, int]:
        """What the API says of a batch."""
        counts: dict[str, int] = self.api.get(f"batches/{batch}/").json()["counts"]
        return counts

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A management command on the console's data."""
        command = [sys.executable, "-m", "django", *arguments]
        return subprocess.run(command, env=self.config.environment(), check=False, capture_output=True, text=True)


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """SQLite, Valkey, the embedded broker, all workers; every device online and twice as fast as a real one."""
    data = tmp_path_factory.mktemp("console")
    config = StackConfig(
        data=data,
        ports=Ports.free(),
        secrets=load_secrets(data, password=PASSWORD),
        devices=DEVICES,
        simulator_arguments=("--speed", "2"),
    )
    lines: list[str] = []
    stack = Stack(config, lambda part, line: lines.append(f"{part}: {line}"))
    try:
        stack.start()
        found = _signed_in(config)
        yield found
        found.api.close()
    finally:
        stack.stop()
        (data / "log").write_text("\n".join(lines), encoding="utf-8")


def _signed_in(config: StackConfig) -> Console:
    base = f"{config.public_url}/api/v1/"
    answer = httpx.post(f"{base}auth/token/", json={"username": "operator", "password": PASSWORD})
    api = httpx.Client(base_url=base, headers={"Authorization": f"Token {answer.json()['token']}"}, timeout=20)
    assert wait_until(lambda: api.get("devices/summary/").json()["online"] == DEVICES, 60)
    return Console(config.public_url, api, config)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For a module: Playwright keeps an event loop in this thread, and beside one Django refuses its database."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=_chromium(), args=CHROMIUM)
        yield started
        started.close()


def _chromium() -> str:
    return next(str(path) for path in (Path("/usr/bin/chromium"), Path("/usr/bin/chromium-browser")) if path.exists())


@pytest.fixture
def page(console: Console, browser: Browser) -> Iterator[Page]:
    """A page of an operator who has just signed in; a script error fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=console.url)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto("/login/")
    opened.get_by_label("User name").or_(opened.locator("input[name=username]")).first.fill("operator")
    opened.locator("input[name=password]").fill(PASSWORD)
    opened.locator("button[type=submit]").click()
    opened.wait_for_url("**/ota/packages/")
    yield opened
    context.close()
    assert errors == []
