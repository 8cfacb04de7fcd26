"""PostgreSQL, Valkey and mosquitto for tests, each on a free loopback port, each gone with the test process."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGQUIT

from ota_console.demo.processes import Child, Program, accepts_connections, free_port, wait_until
from ota_console.demo.redis_server import redis_program

READY_SECONDS = 60

POSTGRESQL_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
    "timezone": "UTC",
}
"""Fast and forgetful: a test's data need not survive a power cut."""

MOSQUITTO_SETTINGS = """
allow_anonymous true
persistence false
upgrade_outgoing_qos true
queue_qos0_messages true
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes 268435456
log_type error
log_type warning
"""
"""As deploy/mosquitto.conf, without accounts: QoS 0 reports are kept for a gateway that is away."""


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    port: int
    child: Child


def _quiet(name: str, line: str) -> None:
    """What a test's server says is of no interest while it serves."""


@contextlib.contextmanager
def running(program: Program) -> Iterator[Child]:
    child = Child(program, _quiet)
    try:
        child.wait_ready()
        yield child
    finally:
        child.stop()


@contextlib.contextmanager
def postgresql(folder: Path, **settings: str) -> Iterator[Server]:
    """A cluster of its own; the superuser and database are both `ota`, without a password."""
    programs = _postgresql_programs()
    user = "postgres" if os.geteuid() == 0 else None
    data = folder / "postgresql"
    data.mkdir(parents=True)
    if user:
        _open_to(user, data)
    initdb = [str(programs / "initdb"), "-D", str(data), "-U", "ota", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
    subprocess.run([*initdb, "--no-sync"], check=True, user=user, cwd="/", capture_output=True)
    port = free_port()
    options = {**POSTGRESQL_SETTINGS, "unix_socket_directories": str(data), **settings}
    arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    program = Program(
        name="postgresql",
        command=[str(programs / "postgres"), "-D", str(data), "-p", str(port), *arguments],
        is_ready=lambda: _is_postgresql_ready(programs, port),
        stop_signal=SIGINT,
        death_signal=SIGQUIT,
        user=user,
        folder=data,
        ready_seconds=READY_SECONDS,
    )
    with running(program) as child:
        create = [str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "ota", "ota"]
        subprocess.run(create, check=True, capture_output=True)
        yield Server(f"postgres://ota@127.0.0.1:{port}/ota", port, child)


@contextlib.contextmanager
def valkey(folder: Path) -> Iterator[Server]:
    port = free_port()
    with running(redis_program(folder=folder, port=port, password="")) as child:
        yield Server(f"redis://127.0.0.1:{port}/0", port, child)


@contextlib.contextmanager
def mosquitto(folder: Path, *, port: int | None = None, settings: str = "") -> Iterator[Server]:
    """A broker that lets everybody in; `settings` are further lines of its file."""
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"mosquitto-{port}.conf"
    file.write_text(f"listener {port} 127.0.0.1\n{MOSQUITTO_SETTINGS}{settings}")
    if os.geteuid() == 0:
        file.write_text(f"user root\n{file.read_text()}")
    program = Program(
        name="mosquitto",
        command=[shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(file)],
        is_ready=lambda: accepts_connections(port),
        ready_seconds=READY_SECONDS,
    )
    with running(program) as child:
        yield Server(f"mqtt://127.0.0.1:{port}", port, child)


def _postgresql_programs() -> Path:
    """The folder of initdb and postgres: Debian keeps them out of PATH."""
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]), reverse=True)
    found = newest[0] if newest else Path(shutil.which("initdb") or "/usr/bin/initdb")
    return found.parent


def _open_to(user: str, folder: Path) -> None:
    """PostgreSQL refuses root, so the folder becomes the user's and each parent lets it pass."""
    account = pwd.getpwnam(user)
    os.chown(folder, account.pw_uid, account.pw_gid)
    for parent in folder.parents:
        mode = parent.stat().st_mode
        if parent.owner() == "root" and not mode & 0o001 and parent.is_relative_to(tempfile.gettempdir()):
            parent.chmod(mode | 0o011)


def _is_postgresql_ready(programs: Path, port: int) -> bool:
    asked = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(asked, check=False).returncode == 0


__all__ = ["Server", "mosquitto", "postgresql", "running", "valkey", "wait_until"]
