"""What `make check` checks and what would break silently: import contracts, migrations, ways to the pages' packages."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from django.core.management import call_command

PROJECT: Final = Path(__file__).resolve().parents[2]
EXACT: Final = re.compile(r"\d+\.\d+\.\d+")


def test_the_import_contracts_hold() -> None:
    """Who may import whom stands in pyproject.toml."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    """The models and the migrations tell the same tables."""
    call_command("makemigrations", check=True, dry_run=True, verbosity=0, stdout=io.StringIO())


def test_front_end_packages_are_pinned_exactly() -> None:
    """Without a lock file, package.json is what makes an installation repeatable."""
    packages = json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))
    versions = {**packages["dependencies"], **packages["devDependencies"]}
    assert [name for name, version in versions.items() if not EXACT.fullmatch(version)] == []


def test_the_licence_is_named_where_people_look() -> None:
    """In the package and in the README."""
    assert 'license = "Apache-2.0"' in (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    assert "Apache-2.0" in (PROJECT / "README.md").read_text(encoding="utf-8")
