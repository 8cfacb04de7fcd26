"""Tells whether the demo's data are still as they were prepared, without a start of Django (two seconds of each start).

It looks, and changes nothing but its own stamp. Whatever it cannot explain means: prepare again.
"""

import hashlib
import sqlite3
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ota_console.demo.stack_config import StackConfig

PROJECT: Final = Path(__file__).resolve().parents[2]
STAMP: Final = "prepared.stamp"
FACTS: Final = (
    "SELECT app || name FROM django_migrations ORDER BY 1",
    "SELECT username || password FROM accounts_user WHERE username IN ('admin', 'operator') ORDER BY 1",
)


def is_prepared(config: StackConfig) -> bool:
    """Whether nothing changed that preparing looks at: code, packages, static files, accounts, the wanted fleet."""
    stamp = config.data / STAMP
    present = _fingerprint(config)
    return present is not None and stamp.is_file() and stamp.read_text() == present


def mark_prepared(config: StackConfig) -> None:
    present = _fingerprint(config)
    if present is not None:
        (config.data / STAMP).write_text(present)


def _fingerprint(config: StackConfig) -> str | None:
    """None where the data are not the embedded SQLite's, or cannot be read."""
    file = config.data / "ota.sqlite3"
    if config.database_url or not file.is_file() or not (config.data / "static").is_dir():
        return None
    try:
        rows = _rows(file)
    except sqlite3.Error:
        return None
    secrets = config.secrets
    wanted = [str(config.devices), secrets.operator_password, secrets.admin_password]
    return hashlib.sha256("\n".join([*wanted, *rows, *_files()]).encode()).hexdigest()


def _rows(file: Path) -> list[str]:
    connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
    try:
        return [str(row[0]) for statement in FACTS for row in connection.execute(statement)]
    finally:
        connection.close()


def _files() -> Iterator[str]:
    """Names, sizes and times of all that migrating, collecting and seeding depend on."""
    folders = {
        "static": "*",
        "ota_console": "*.py",
        "devices_app": "*.py",
        "packages_app": "*.py",
        "batches_app": "*.py",
    }
    found = [path for folder, pattern in folders.items() for path in (PROJECT / folder).rglob(pattern)]
    found += [PROJECT / "package.json", Path(sysconfig.get_path("purelib"))]
    for path in sorted(found):
        facts = path.stat()
        yield f"{path} {facts.st_size} {facts.st_mtime_ns}"
