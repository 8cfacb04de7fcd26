"""Makes the demo's data ready, in one process and so with one start of Django: `python -m ota_console.demo.prepare`.

It may run again at any time: it migrates, collects static files where they changed, and makes the two accounts and the
seeded fleet where they are missing. The passwords come by OPERATOR_PASSWORD and ADMIN_PASSWORD.
"""

import argparse
import hashlib
import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import django
from django.conf import settings
from django.core.management import call_command

STAMP: Final = "static.stamp"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=200)
    devices = parser.parse_args().devices
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    collect_static_files()
    accounts = import_module("ota_console.accounts.commands")  # models can be imported only after django.setup()
    accounts.ensure_user(username="operator", password=os.environ["OPERATOR_PASSWORD"], is_admin=False)
    accounts.ensure_user(username="admin", password=os.environ["ADMIN_PASSWORD"], is_admin=True)
    if devices and find_spec("ota_console.demo.seed"):
        import_module("ota_console.demo.seed").seed(devices=devices)


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


if __name__ == "__main__":
    main()
