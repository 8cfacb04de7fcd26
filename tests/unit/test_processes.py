import os
import sys
from signal import SIGKILL

import psutil
import pytest

from ota_console.demo.processes import Child, NotReadyError, Program, wait_until

FOREVER = "import time\nwhile True: time.sleep(1)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('set', flush=True)\n{FOREVER}"
CHILD_OF_A_CHILD = f"""
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", {FOREVER!r}]).pid, flush=True)
"""
PARENT = f"""
import sys
from ota_console.demo.processes import Child, Program
child = Child(Program("child", [sys.executable, "-c", {FOREVER!r}]), lambda name, line: None)
print(child.pid, flush=True)
{FOREVER}
"""


class Lines(list[str]):
    """A sink that keeps what was said."""

    def __call__(self, name: str, line: str) -> None:
        self.append(line)


def python(code: str, **settings: object) -> Program:
    return Program("program", [sys.executable, "-c", code], **settings)  # type: ignore[arg-type]  # a test's shorthand


def test_what_a_program_says_reaches_the_sink() -> None:
    """Both of its streams, line by line, without empty lines."""
    lines = Lines()
    child = Child(python("import sys; print('one'); print(); sys.stderr.write('two')"), lines)
    assert wait_until(lambda: len(lines) == 2, 10)
    child.stop()
    assert sorted(lines) == ["one", "two"]


def test_a_program_that_ends_before_it_serves_is_told_with_its_exit_code() -> None:
    """Nobody waits for the rest of the time limit."""
    child = Child(python("raise SystemExit(3)", is_ready=lambda: False), Lines())
    with pytest.raises(NotReadyError, match="exit code 3"):
        child.wait_ready()
    child.kill()


def test_a_program_that_does_not_serve_in_time_is_told() -> None:
    """The limit is the program's own."""
    child = Child(python(FOREVER, is_ready=lambda: False, ready_seconds=0.1), Lines())
    with pytest.raises(NotReadyError, match="was not ready"):
        child.wait_ready()
    child.kill()


def test_a_program_that_ignores_the_signal_is_killed() -> None:
    """A stop always ends."""
    lines = Lines()
    child = Child(python(STUBBORN, stop_seconds=0.2), lines)
    assert wait_until(lambda: "set" in lines, 10)
    child.stop()
    assert child.exit_code == -SIGKILL


def test_a_stop_takes_the_whole_group() -> None:
    """A program's own children do not outlive it."""
    lines = Lines()
    code = f"{CHILD_OF_A_CHILD}\n{FOREVER}"
    child = Child(python(code), lines)
    assert wait_until(lambda: bool(lines), 10)
    child.stop()
    assert wait_until(lambda: not psutil.pid_exists(int(lines[0])), 10)


def test_a_killed_parent_takes_its_child_along() -> None:
    """Kill -9 of a supervisor leaves no process."""
    lines = Lines()
    parent = Child(python(PARENT), lines)
    assert wait_until(lambda: bool(lines), 10)
    os.kill(parent.pid, SIGKILL)
    parent.process.wait()
    assert wait_until(lambda: not psutil.pid_exists(int(lines[0])), 10)
    parent.kill()
