"""Helper processes of a benchmark.

Each says "ready" on its output, starts at a line on its input, and says how it ended. The clock is `time.monotonic`,
which all processes of a machine share on Linux. Must not know Django.
"""

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class Helper:
    """A Python module in a process of its own; a context manager that leaves nothing behind."""

    def __init__(self, module: str, *arguments: str | int | Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def wait_ready(self) -> None:
        """Until it can start at once."""
        self._expect("ready")

    def go(self) -> float:
        """Start it; the moment."""
        assert self._process.stdin is not None
        moment = time.monotonic()
        self._process.stdin.write("go\n")
        return moment

    def finished_at(self) -> float:
        """Wait until it is through; the moment when it was."""
        return float(self._expect("done"))

    def _expect(self, word: str) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().split()
        if not line or line[0] != word:
            raise RuntimeError(f"{self._process.args!r} said {line!r} instead of {word!r}")
        return line[-1]


def say_ready() -> None:
    """Called by a helper."""
    print("ready", flush=True)  # noqa: T201 - the protocol with the parent


def wait_for_go() -> None:
    """Called by a helper; ends with its parent."""
    if not sys.stdin.readline():
        sys.exit(1)


def say_done(moment: float) -> None:
    """Called by a helper: when its work was through."""
    print("done", moment, flush=True)  # noqa: T201 - the protocol with the parent
