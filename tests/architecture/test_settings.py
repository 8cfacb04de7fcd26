"""Settings: documented, and safe in production."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.check import PRODUCTION

PROJECT: Final = Path(__file__).resolve().parents[2]
READ: Final = re.compile(r"\benv\.[a-z]+\(\s*\"([A-Z][A-Z0-9_]+)\"")
DOCUMENTED: Final = re.compile(r"^\| `([A-Z][A-Z0-9_]+)`", re.MULTILINE)
DEMO: Final = {"PORT", "PASSWORD", "DATA", "DEVICES"}
"""Read by the Makefile."""


def read_variables() -> set[str]:
    rooms = ("ota_console", "devices_app", "packages_app", "batches_app")
    files = [path for room in rooms for path in (PROJECT / room).rglob("*.py")]
    return {name for path in files for name in READ.findall(path.read_text(encoding="utf-8"))}


def start(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Read the settings in a process of its own, with nothing but `environment`."""
    given = {"PATH": os.environ["PATH"], **environment}
    command = [sys.executable, "-c", "import ota_console.settings"]
    return subprocess.run(command, cwd=PROJECT, env=given, check=False, capture_output=True, text=True)


def test_every_variable_that_is_read_is_documented_and_no_other() -> None:
    """One table tells all of them."""
    documented = set(DOCUMENTED.findall((PROJECT / "docs/reference/settings.md").read_text(encoding="utf-8")))
    assert documented - DEMO == read_variables()


def test_production_starts_with_safe_settings() -> None:
    """Those that `make check` checks for deployment."""
    assert start(PRODUCTION).returncode == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"SECRET_KEY": ""}, "Set SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "Set SECRET_KEY"),
        ({"BROKER_SECRET": "short"}, "Set BROKER_SECRET"),
        ({"DEBUG": "1"}, "Set DEBUG=0"),
        ({"REDIS_URL": "memory://"}, "Set REDIS_URL"),
    ],
)
def test_production_refuses_what_is_unsafe(change: dict[str, str], sentence: str) -> None:
    """It tells what to set, and does not start."""
    started = start({**PRODUCTION, **change})
    assert started.returncode != 0
    assert sentence in started.stderr


def test_a_server_without_any_setting_does_not_start() -> None:
    """A forgotten environment is production, and production has no default secret."""
    started = start({})
    assert "Set SECRET_KEY" in started.stderr
    assert "Set BROKER_SECRET" in started.stderr
