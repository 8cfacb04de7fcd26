"""The embedded stack: starts every part, waits by condition, starts again what dies, and leaves nothing behind.

`Stack` is for the demo and for tests that need the real processes. It decides nothing about the product.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ota_console.core import clock
from ota_console.demo.prepared import is_prepared, mark_prepared
from ota_console.demo.processes import Child, LineSink, NotReadyError, wait_until
from ota_console.demo.redis_server import reap_leftover
from ota_console.demo.stack_config import ENVIRONMENT_FILE, StackConfig, write_private
from ota_console.demo.stack_parts import make_program, preparation, serves

STOP_GROUPS: Final = (
    ("simulator", "beat", "worker", "dispatch", "relay"),
    ("gateway",),
    ("web", "downloads"),
    ("broker", "redis"),
)
"""What serves others stops after them; the parts of one group stop at the same time."""
READY_SECONDS: Final = 60
READY_POLL_SECONDS: Final = 0.25
FIRST_PAUSE_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 10.0
"""Between two starts of a part that keeps dying; the pause doubles each time."""
STEADY_SECONDS: Final = 20.0
"""A part that lived this long is started again as if for the first time."""


@dataclass(slots=True)
class Life:
    """When a part was started last, how often it died young in a row, and when it may be started again."""

    started_at: float = 0.0
    early_deaths: int = 0
    start_again_at: float | None = None


class Stack:
    """`start` and `stop` are safe to call again; all methods belong to one thread, which must outlive the stack."""

    def __init__(self, config: StackConfig, sink: LineSink) -> None:
        self.config = config
        self._sink = sink
        self._children: dict[str, Child] = {}
        self._lives: dict[str, Life] = {}
        self._must_stop = False

    def child(self, part: str) -> Child:
        """The running program of a part, for its pid or to kill it on purpose."""
        return self._children[part]

    @property
    def pids(self) -> dict[str, int]:
        return {part: child.pid for part, child in self._children.items() if child.exit_code is None}

    def request_stop(self) -> None:
        """For a signal's handler: every wait of the stack ends soon."""
        self._must_stop = True

    @property
    def must_stop(self) -> bool:
        return self._must_stop

    def start(self) -> None:
        """Start all parts and return when they serve. Raises NotReadyError; call `stop` in any case."""
        if reap_leftover(self.config.data):
            self._sink("redis", "ended the server that an earlier run left behind")
        write_private(self.config.data / ENVIRONMENT_FILE, self.config.environment())
        self._start_all(part for part in self.config.own_parts if part in {"redis", "broker"})
        self.prepare()
        rest = [part for part in self.config.own_parts if part not in {"redis", "broker"}]
        self._start_all(part for part in rest if part != "simulator")
        if "web" in rest and {"gateway", "worker", "dispatch", "relay", "beat"} <= set(rest):
            self.wait_ready()
        self._start_all(part for part in rest if part == "simulator")

    def prepare(self) -> None:
        """Migrate and seed, unless nothing changed since the last time. Raises NotReadyError where that fails."""
        if self._must_stop or is_prepared(self.config):
            return
        child = Child(preparation(self.config), self._sink)
        self._children["prepare"] = child
        wait_until(lambda: self._must_stop or child.exit_code is not None, child.program.ready_seconds)
        code = child.exit_code
        child.kill()
        del self._children["prepare"]
        if code != 0 and not self._must_stop:
            raise NotReadyError(f"The data could not be prepared (exit code {code}).")
        if code == 0:
            mark_prepared(self.config)

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Until /readyz says that database, Redis, broker, gateway and every worker answer."""
        port = self.config.ports.web

        def is_settled() -> bool:
            return self._must_stop or bool(self._dead_part()) or serves(port, "/readyz")

        if not wait_until(is_settled, seconds, READY_POLL_SECONDS):
            raise NotReadyError(f"The stack was not ready after {seconds:.0f} s; see {self.config.public_url}/readyz.")
        if (dead := self._dead_part()) and not self._must_stop:
            raise NotReadyError(f"{dead} ended at its start with exit code {self._children[dead].exit_code}.")

    def start_part(self, part: str) -> None:
        """Start one part and wait until it serves; what is left of a former one is killed first."""
        self._launch(part)
        self._children[part].wait_ready(lambda: self._must_stop)

    def kill_part(self, part: str) -> None:
        """Kill -9 of the part with all its children, as a fault would."""
        self._children[part].kill()

    def stop_part(self, part: str) -> None:
        if child := self._children.pop(part, None):
            child.stop()

    def restart_dead(self) -> list[str]:
        """Start again what has died; one that keeps dying young waits longer each time. Returns the parts started."""
        started = []
        now = clock.monotonic()
        for part, child in list(self._children.items()):
            life = self._lives[part]
            if child.exit_code is None or self._must_stop:
                continue
            if life.start_again_at is None:
                self._note_death(part, child.exit_code, life, now)
            elif now >= life.start_again_at:
                self._launch(part)
                started.append(part)
        return started

    def stop(self) -> None:
        """Stop all parts in order; nothing of their process groups is left."""
        self._must_stop = True
        for group in (("prepare",), *STOP_GROUPS):
            children = [self._children.pop(part) for part in group if part in self._children]
            for child in children:
                child.ask_to_stop()
            for child in children:
                child.stop()

    def _start_all(self, parts: Iterator[str]) -> None:
        """All at once: starting a Python program is mostly waiting for the disk."""
        names = [] if self._must_stop else list(parts)
        for part in names:
            self._launch(part)
        for part in names:
            self._children[part].wait_ready(lambda: self._must_stop)

    def _launch(self, part: str) -> None:
        if old := self._children.get(part):
            old.kill()
        self._children[part] = Child(make_program(part, self.config), self._sink)
        life = self._lives.setdefault(part, Life())
        life.started_at, life.start_again_at = clock.monotonic(), None

    def _note_death(self, part: str, exit_code: int, life: Life, now: float) -> None:
        lived = now - life.started_at
        life.early_deaths = 0 if lived > STEADY_SECONDS else life.early_deaths + 1
        pause = min(FIRST_PAUSE_SECONDS * 2**life.early_deaths, LONGEST_PAUSE_SECONDS)
        life.start_again_at = now + pause
        self._sink(part, f"ended with exit code {exit_code} after {lived:.0f} s; it is started again in {pause:.1f} s")

    def _dead_part(self) -> str:
        return next((part for part, child in self._children.items() if child.exit_code is not None), "")


@contextlib.contextmanager
def running_stack(config: StackConfig, sink: LineSink) -> Iterator[Stack]:
    """A whole stack for the length of a block, for tests."""
    stack = Stack(config, sink)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
