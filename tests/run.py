"""The whole suite: `make test`. Installs the servers that it needs where it may, then runs pytest on both databases.

Any argument is handed to pytest, for example `-k name`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

PROGRAMS: Final = {"mosquitto": "mosquitto", "chromium": "chromium"}
"""Program → Debian package."""
SBIN: Final = "/usr/sbin:/usr/local/sbin"
FONT: Final = Path("/usr/share/fonts/truetype/wqy")
PYTEST: Final = (sys.executable, "-m", "pytest", "--numprocesses", "2", "--dist", "loadgroup", "-q")
NO_TEST_COLLECTED: Final = 5


def main() -> int:
    if missing := missing_packages():
        code = install(missing)
        if code != 0 or missing_packages():
            return code or 1
    first = subprocess.run([*PYTEST, *sys.argv[1:]], check=False, env={**os.environ, "TEST_DATABASE": "sqlite"})
    print("The database's own tests once more, on PostgreSQL:", flush=True)  # noqa: T201 a heading of the output
    second = subprocess.run([*PYTEST, *sys.argv[1:]], check=False, env={**os.environ, "TEST_DATABASE": "postgresql"})
    codes = {first.returncode, second.returncode}
    if codes == {NO_TEST_COLLECTED}:
        return NO_TEST_COLLECTED
    return max(codes - {NO_TEST_COLLECTED})


def missing_packages() -> list[str]:
    """Debian packages whose programs this machine lacks."""
    path = f"{os.environ.get('PATH', '')}:{SBIN}"
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program, path=path) is None]
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) and shutil.which("initdb") is None:
        missing.append("postgresql")
    if not FONT.is_dir():
        missing.append("fonts-wqy-zenhei")
    return missing


def install(packages: list[str]) -> int:
    """Install them where this is allowed without asking; otherwise say the one command that does it."""
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    prefix = _prefix()
    if prefix is None:
        print(f"The tests need servers that this machine lacks. Run:\n\n  sudo {' '.join(command)}\n")  # noqa: T201 for a person
        return 1
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*prefix, "apt-get", "update", "-q"], check=False, env=environment)
    return subprocess.run([*prefix, *command, "-q"], check=False, env=environment).returncode


def _prefix() -> list[str] | None:
    """What makes apt-get possible: nothing for root, sudo where it asks no password; None: neither."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    may = sudo is not None and subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True).returncode == 0
    return ["sudo", "-n"] if may else None


if __name__ == "__main__":
    sys.exit(main())
