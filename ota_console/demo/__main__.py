"""The demo's command line: `python -m ota_console.demo` runs the embedded stack, `… manage COMMAND` uses its data.

It speaks to a person: one tidy log, one sentence for each thing that is in the way, exit code 1 where it cannot start.
"""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

from ota_console.core import clock
from ota_console.core.processes import die_with_parent
from ota_console.demo.log import Log
from ota_console.demo.processes import NotReadyError, is_free, wait_until
from ota_console.demo.stack import Stack
from ota_console.demo.stack_config import ENVIRONMENT_FILE, Ports, StackConfig, load_secrets, machine_environment

LOCK_FILE: Final = "demo.lock"
WATCH_SECONDS: Final = 0.5
MOST_DEVICES: Final = 5000
"""The embedded broker serves no larger fleet."""


class Refused(Exception):
    """The demo cannot start; the message says what to do."""


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if os.environ.get("DEMO_DIES_WITH_PARENT"):
        die_with_parent(signal.SIGTERM)
    if given[:1] == ["manage"]:
        return manage(_data_of_environment(), given[1:])
    try:
        return run(_parse(given), Log(sys.stdout))
    except Refused as refusal:
        print(refusal, file=sys.stderr)  # noqa: T201 the one sentence for the person who started it
        return 1


def run(options: argparse.Namespace, log: Log) -> int:
    """Start the stack, watch it until a signal asks to stop, and stop it."""
    data = Path(options.data).resolve()
    _check_writable(data)
    with _alone(data):
        ports = Ports.around(options.port, options.mqtt_port)
        _check_ports(ports)
        secrets = load_secrets(data, password=options.password)
        config = StackConfig(data=data, ports=ports, secrets=secrets, devices=options.devices)
        stack = Stack(config, log)
        _stop_by_signals(stack)
        try:
            return _serve(stack, log)
        finally:
            log("demo", "stops")
            stack.stop()
            log("demo", "has stopped; nothing of it runs any more")


def manage(data: Path, arguments: list[str]) -> int:
    """Run a management command with the environment of the demo's last start, in this process's place."""
    file = data / ENVIRONMENT_FILE
    if not file.is_file():
        print(f"There is no demo in {data}. Run `make demo` first.", file=sys.stderr)  # noqa: T201 as in main
        return 1
    environment = {**machine_environment(), **json.loads(file.read_text(encoding="utf-8"))}
    environment |= {name: os.environ[name] for name in ("TERM", "COLUMNS", "LINES") if name in os.environ}
    command = [sys.executable, "-m", "django", *arguments]
    return os.execve(sys.executable, command, environment)  # noqa: S606 no shell is wanted


def _serve(stack: Stack, log: Log) -> int:
    started_at = clock.monotonic()
    try:
        stack.start()
    except NotReadyError as error:
        log("demo", str(error))
        return 1
    if not stack.must_stop:
        log("demo", f"is up after {clock.monotonic() - started_at:.1f} s")
        _welcome(stack.config)
    while not stack.must_stop:
        wait_until(lambda: stack.must_stop, WATCH_SECONDS)
        stack.restart_dead()
    return 0


def _welcome(config: StackConfig) -> None:
    secrets = config.secrets
    print(  # noqa: T201 what the person waits for
        f"\n  OTA Console   {config.public_url}\n"
        f"  Operator      operator   password {secrets.operator_password}\n"
        f"  Superuser     admin      password {secrets.admin_password}   ({config.public_url}/admin/)\n"
        f"  MQTT          127.0.0.1:{config.ports.mqtt}   TLS 127.0.0.1:{config.ports.mqtt_tls}\n"
        f"  Data          {config.data}\n"
        f"  Stop          Ctrl-C\n",
        flush=True,
    )


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One demo for each folder of data."""
    with (data / LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Refused(f"A demo already runs on {data}. Stop it, or choose another folder: DATA=.demo2") from error
        yield


def _check_writable(data: Path) -> None:
    """Raises Refused where the demo cannot keep its data: another person's folder, or one that root's demo filled."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        locked = [data, *data.iterdir()]
        (data / LOCK_FILE).touch()
    except OSError as error:
        raise Refused(
            f"The demo cannot write to {error.filename or data}: {error.strerror}. Choose another folder: DATA=~/demo"
        ) from error
    for path in locked:
        if not os.access(path, os.W_OK):
            raise Refused(
                f"The demo cannot write to {path}, which belongs to {_owner(path)}. "
                "Start it as that user, or choose another folder: DATA=~/demo"
            )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"


def _check_ports(ports: Ports) -> None:
    """Raises Refused for the first port that somebody else listens on."""
    named = {
        "PORT": ports.web,
        "PORT + 1 (downloads)": ports.downloads,
        "MQTT_PORT": ports.mqtt,
        "MQTT over TLS": ports.mqtt_tls,
    }
    for name, port in named.items():
        if not is_free(port):
            variable = "MQTT_PORT" if "MQTT" in name else "PORT"
            raise Refused(
                f"Port {port} ({name}) is in use. Stop what listens there, or choose another: "
                f"make demo {variable}={port + 10}"
            )


def _stop_by_signals(stack: Stack) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        stack.request_stop()

    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(wanted, stop)


def _data_of_environment() -> Path:
    return Path(os.environ.get("DATA", ".demo")).resolve()


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ota_console.demo", description="Run the embedded stack.")
    parser.add_argument("--port", type=int, default=8000, help="of the console; downloads take the next one")
    parser.add_argument("--mqtt-port", type=int, default=1883, help="of plain MQTT; TLS takes this + 7000")
    parser.add_argument(
        "--password", default=os.environ.get("PASSWORD", ""), help="of both accounts; else made once and kept"
    )
    parser.add_argument("--data", default=".demo", help="folder of everything that the demo writes")
    parser.add_argument("--devices", type=int, default=200, choices=range(MOST_DEVICES + 1), metavar="N")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
