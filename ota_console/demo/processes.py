"""Child processes that cannot outlive their parent, for the embedded stack and for tests that start real servers.

Each child leads a process group of its own and is killed by the kernel when its parent dies (Linux). Its output is read
line by line and handed to a sink. Nothing here knows what the programs do.
"""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ota_console.core.processes import die_with_parent

LineSink = Callable[[str, str], None]
"""Takes the program's name and one line of its output."""

POLL_SECONDS: Final = 0.02
"""How often a cheap condition is asked for again."""


class NotReadyError(Exception):
    """A program ended, or did not become ready in time."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how to know that it serves."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    is_ready: Callable[[], bool] = lambda: True
    ready_seconds: float = 60
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10
    """After that long its whole group is killed."""
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends when the parent dies."""
    user: str | None = None
    folder: Path | None = None


class Child:
    """A running program. Start it from a thread that lives as long as it: the kernel's watch follows the thread."""

    def __init__(self, program: Program, sink: LineSink) -> None:
        self.program = program
        self._sink = sink
        self._is_over = False
        parent = os.getpid()
        death_signal = int(program.death_signal)

        def bind_to_parent() -> None:
            die_with_parent(death_signal)
            if os.getppid() != parent:
                os._exit(1)

        self.process = subprocess.Popen(
            list(program.command),
            env=dict(program.environment),
            cwd=program.folder,
            user=program.user,
            group=program.user,
            extra_groups=[] if program.user else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=bind_to_parent,  # noqa: PLW1509 it calls libc alone, which was loaded before the fork
        )
        self._reader = threading.Thread(target=self._read, name=f"log-{program.name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: minus the signal that ended it."""
        return self.process.poll()

    def wait_ready(self, should_give_up: Callable[[], bool] = lambda: False) -> None:
        """Return when the program serves. Raises NotReadyError where it ends or takes too long."""

        def is_settled() -> bool:
            return should_give_up() or self.exit_code is not None or self.program.is_ready()

        settled = wait_until(is_settled, self.program.ready_seconds)
        if self.exit_code is not None:
            raise NotReadyError(f"{self.program.name} ended at its start with exit code {self.exit_code}.")
        if not settled:
            raise NotReadyError(f"{self.program.name} was not ready after {self.program.ready_seconds:.0f} s.")

    def ask_to_stop(self) -> None:
        if self.exit_code is None:
            self.process.send_signal(self.program.stop_signal)

    def stop(self) -> None:
        """Ask, wait, and leave nothing of the group behind."""
        self.ask_to_stop()
        try:
            self.process.wait(self.program.stop_seconds)
        except subprocess.TimeoutExpired:
            self._sink(self.program.name, f"did not stop within {self.program.stop_seconds:.0f} s and is killed")
        self.kill()

    def kill(self) -> None:
        """Kill -9 of the whole group, also of what an ended leader left; once, since its number may be given anew."""
        if self._is_over:
            return
        self._is_over = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(timeout=2)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _read(self) -> None:
        with contextlib.suppress(ValueError):  # closed while it was read
            for raw in self.process.stdout or ():
                if line := raw.decode("utf-8", "replace").rstrip():
                    self._sink(self.program.name, line)


def wait_until(condition: Callable[[], bool], seconds: float, poll_seconds: float = POLL_SECONDS) -> bool:
    """Ask until it is so; False after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_seconds)
    return True


def accepts_connections(port: int, host: str = "127.0.0.1") -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could bind the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
