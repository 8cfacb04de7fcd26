"""Makes the demo's data ready; may run again at any time, and then does only what is missing."""

import hashlib
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.management import call_command

from ota_console.accounts.commands import ensure_user
from ota_console.demo.seed import seed

STAMP: Final = "static.stamp"


def prepare(*, devices: int, operator_password: str, admin_password: str) -> None:
    """Migrate, collect static files, make the two accounts, and the seeded fleet where it has devices."""
    call_command("migrate", verbosity=0, interactive=False)
    collect_static_files()
    ensure_user(username="operator", password=operator_password, is_admin=False)
    ensure_user(username="admin", password=admin_password, is_admin=True)
    if devices:
        seed(devices=devices)


def collect_static_files() -> bool:
    """Collect and hash them unless nothing changed since the last time; True where it was done."""
    stamp = Path(settings.DATA_DIR) / STAMP
    present = _fingerprint()
    if stamp.is_file() and stamp.read_text() == present:
        return False
    call_command("collectstatic", verbosity=0, interactive=False, clear=True)
    stamp.write_text(present)
    return True


def _fingerprint() -> str:
    """Of names, sizes and times of the project's own static files, and of the packages that bring others."""
    files = [Path(settings.BASE_DIR) / "package.json", Path(settings.BASE_DIR) / "pyproject.toml"]
    files += sorted(path for path in (Path(settings.BASE_DIR) / "static").rglob("*") if path.is_file())
    facts = [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files if path.is_file()]
    return hashlib.sha256("\n".join([str(settings.STATIC_ROOT), *facts]).encode()).hexdigest()
