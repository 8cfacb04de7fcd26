"""`make demo` as a person meets it: real processes, started, hurt and stopped."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil
import pytest

from ota_console.demo.processes import Child, Program, free_port, wait_until
from ota_console.demo.stack_parts import serves

START_SECONDS = 120


class Demo:
    """One run of the demo's command line, with what it said."""

    def __init__(self, data: Path, *arguments: str, port: int | None = None) -> None:
        self.data, self.port, self.lines = data, port or free_port(), list[str]()
        options = ["--data", str(data), "--port", str(self.port), "--mqtt-port", str(free_port()), "--devices", "0"]
        command = [sys.executable, "-m", "ota_console.demo", *options, *arguments]
        self.child = Child(Program("demo", command, stop_seconds=60), self._hear)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.child.stop()

    def _hear(self, name: str, line: str) -> None:
        self.lines.append(line)

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def wait_until_up(self) -> None:
        assert wait_until(lambda: "Stop          Ctrl-C" in self.said or self.has_ended, START_SECONDS), self.said
        assert not self.has_ended, self.said

    @property
    def has_ended(self) -> bool:
        return self.child.exit_code is not None

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.child.pid).children(recursive=True)

    def process(self, word: str) -> psutil.Process:
        return next(process for process in self.processes() if word in process.cmdline())

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ota_console.demo", "manage", *arguments]
        environment = {**os.environ, "DATA": str(self.data)}
        return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with Demo(tmp_path_factory.mktemp("demo")) as started:
        started.wait_until_up()
        yield started


def are_gone(processes: list[psutil.Process]) -> bool:
    return not [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_the_demo_says_where_it_is_and_who_may_sign_in(demo: Demo) -> None:
    """Two accounts with passwords made for them."""
    assert f"http://127.0.0.1:{demo.port}" in demo.said
    assert re.search(r"operator   password \w{16}\n", demo.said)
    assert re.search(r"admin      password \w{16} ", demo.said)


def test_all_parts_of_the_demo_answer(demo: Demo) -> None:
    """The console asks database, Redis, broker, gateway and worker."""
    assert serves(demo.port, "/readyz")


def test_the_demos_secrets_belong_to_their_owner_alone(demo: Demo) -> None:
    """Nobody else on the machine reads a password."""
    secret_files = [demo.data / "secrets.json", demo.data / "environment.json"]
    assert [oct(file.stat().st_mode & 0o777) for file in secret_files] == ["0o600", "0o600"]


def test_management_commands_work_on_the_running_demos_data(demo: Demo) -> None:
    """`make manage` sees the accounts that the demo made."""
    count = "from ota_console.accounts.models import User; print(User.objects.count())"
    assert demo.manage("shell", "--no-imports", "-c", count).stdout.strip() == "2"


def test_a_part_that_is_killed_is_started_again(demo: Demo) -> None:
    """With a line that says so."""
    killed = demo.process("gateway")
    killed.kill()
    assert wait_until(lambda: "gateway    ended with exit code -9" in demo.said, 30)
    assert wait_until(lambda: any("gateway" in process.cmdline() for process in demo.processes()), 30)


def test_a_killed_worker_takes_its_pool_along(demo: Demo) -> None:
    """A half-alive pool would go on pushing unseen."""
    worker = demo.process("relay@%h")
    pool = worker.children()
    assert pool
    worker.kill()
    assert wait_until(lambda: are_gone(pool), 30)


def test_a_killed_redis_is_told_without_a_traceback(demo: Demo) -> None:
    """It is started again, and everything that lost it goes on."""
    killed = int((demo.data / "redis.pid").read_text())
    os.kill(killed, signal.SIGKILL)
    assert wait_until(lambda: "redis      ended with exit code -9" in demo.said, 30)
    assert wait_until(lambda: "Redis does not answer at REDIS_URL." in demo.said, 30)
    assert wait_until(lambda: serves(demo.port, "/readyz"), START_SECONDS)
    assert "Traceback" not in demo.said


def test_a_port_in_use_gives_one_clear_sentence(tmp_path: Path) -> None:
    """It names the port and the way out; there is no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Demo(tmp_path, port=port) as refused:
            assert wait_until(lambda: refused.has_ended, 30)
    assert refused.child.exit_code == 1
    assert len(refused.lines) == 1
    assert refused.said.startswith(f"Port {port} (PORT) is in use.")


def test_a_folder_that_cannot_be_written_gives_one_clear_sentence(tmp_path: Path) -> None:
    """It names the folder and the way out; there is no traceback."""
    (tmp_path / "file").touch()
    with Demo(tmp_path / "file" / "demo") as refused:
        assert wait_until(lambda: refused.has_ended, 30)
    assert refused.child.exit_code == 1
    assert len(refused.lines) == 1
    assert refused.said.startswith(f"The demo cannot write to {tmp_path / 'file'}")
    assert "Choose another folder: DATA=" in refused.said


def test_two_demos_do_not_share_one_folder(demo: Demo) -> None:
    """The second is refused with the way out."""
    with Demo(demo.data) as second:
        assert wait_until(lambda: second.has_ended, 30)
    assert second.child.exit_code == 1
    assert "A demo already runs on" in second.said


def test_a_stop_during_the_start_leaves_no_process(tmp_path: Path) -> None:
    """SIGTERM, as a service manager sends it, is heard at any moment."""
    with Demo(tmp_path) as started:
        assert wait_until(lambda: "broker_started" in started.said, START_SECONDS)
        processes = started.processes()
        send(started, signal.SIGTERM)
        assert (started.child.exit_code, are_gone(processes)) == (0, True), started.said


def test_a_killed_demo_leaves_no_process_and_starts_again(tmp_path: Path) -> None:
    """Kill -9 of the supervisor: the kernel ends its parts. The next start keeps the passwords, and Ctrl-C ends it."""
    with Demo(tmp_path) as killed:
        killed.wait_until_up()
        processes = killed.processes()
        assert len(processes) >= 10
        send(killed, signal.SIGKILL)
        assert wait_until(lambda: are_gone(processes), 30)
    with Demo(tmp_path) as again:
        again.wait_until_up()
        processes = again.processes()
        send(again, signal.SIGINT)
        assert (again.child.exit_code, are_gone(processes)) == (0, True), again.said
        assert json.loads((tmp_path / "secrets.json").read_text())["operator_password"] in again.said


def send(demo: Demo, number: signal.Signals) -> None:
    """Send the signal to the supervisor alone, as a terminal or a service manager does, and wait for its end."""
    os.kill(demo.child.pid, number)
    assert wait_until(lambda: demo.has_ended, 60), demo.said
