"""Everything that needs no test: `make check`. Runs the checks side by side and prints what each found."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

BIN: Final = Path(sys.executable).parent
TEMPLATES: Final = [str(path) for path in sorted(Path("templates").rglob("*.html"))]

PRODUCTION: Final = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "k9#Zr2-only-to-check-that-production-settings-start-8Qw!tY5uI0oP3aS",
    "BROKER_SECRET": "only-to-check-that-production-starts",
    "PUBLIC_URL": "https://ota.example.com",
    "DATABASE_URL": "postgres://ota@127.0.0.1/ota",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
}
IN_MEMORY: Final = {"ENVIRONMENT": "test", "DATABASE_URL": "sqlite:///:memory:", "REDIS_URL": "memory://"}


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


CHECKS: Final = (
    Check("mypy", [str(BIN / "mypy")], IN_MEMORY),
    Check("import contracts", [str(BIN / "lint-imports")], IN_MEMORY),
    Check("migrations", [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"], IN_MEMORY),
    Check("deployment", [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"], PRODUCTION),
    Check("lint", [str(BIN / "ruff"), "check"]),
    Check("format", [str(BIN / "ruff"), "format", "--check"]),
    Check("templates", [str(BIN / "djade"), "--check", "--target-version", "5.2", *TEMPLATES]),
    Check("spelling", [str(BIN / "codespell")]),
)


def run(check: Check) -> tuple[Check, int, str, float]:
    started = time.monotonic()
    done = subprocess.run(
        check.command, env={**os.environ, **check.environment}, check=False, capture_output=True, text=True
    )
    return check, done.returncode, (done.stdout + done.stderr).strip(), time.monotonic() - started


def main() -> int:
    failed = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        for check, code, output, seconds in pool.map(run, CHECKS):
            print(f"{'ok    ' if code == 0 else 'FAILED'}  {check.name}  ({seconds:.1f} s)")  # noqa: T201 the report
            if code != 0:
                failed += 1
                print(output)  # noqa: T201 the report
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
