"""The vendor's Python SDK in an environment of its own, and a device that runs in it (interop.md, "Device SDKs").

The SDK needs an MQTT library that is older than ours; with a newer one it spins for ever.
"""

import contextlib
import fcntl
import json
import queue
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

PROJECT: Final = Path(__file__).resolve().parents[2]
ENVIRONMENT: Final = PROJECT / ".venv" / "linkkit"
"""Beside everything else that is installed; made once."""
PACKAGES: Final = ("aliyun-iot-linkkit==1.2.13", "paho-mqtt==1.6.1", "setuptools<81")
SCRIPT: Final = Path(__file__).with_name("linkkit_device.py")
WAIT_SECONDS: Final = 60
"""For a busy machine; nothing waits for it when things go well."""


def ensure_environment() -> Path:
    """Its interpreter. Makes the environment if it is missing or made of other packages; one process at a time."""
    interpreter, stamp = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "packages.txt"
    ENVIRONMENT.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != "\n".join(PACKAGES):
            venv.create(ENVIRONMENT, with_pip=True, symlinks=True)
            install = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, *PACKAGES], check=True)
            stamp.write_text("\n".join(PACKAGES))
    return interpreter


class LinkkitDevice:
    """A device that the SDK drives; orders go in, events come out."""

    def __init__(self, interpreter: Path, **settings: Any) -> None:
        """`settings`: port, product_key, device_name, and device_secret or product_secret with auth_type."""
        self.process = subprocess.Popen(
            [str(interpreter), str(SCRIPT), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._events.put(json.loads(line))

    def order(self, *words: object) -> None:
        """`version`, `progress`, `pull` or `download`, with its arguments."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def wait_for(self, event: str) -> dict[str, Any]:
        """The next event of this name; others before it are skipped. Fails after a while."""
        while True:
            found = self._events.get(timeout=WAIT_SECONDS)
            if found["event"] == event:
                return found

    def stop(self) -> None:
        """A refused SDK tries again for ever, so it is not asked."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@contextlib.contextmanager
def linkkit_device(**settings: Any) -> Iterator[LinkkitDevice]:
    """A device for the length of a test."""
    device = LinkkitDevice(ensure_environment(), **settings)
    try:
        yield device
    finally:
        device.stop()


if __name__ == "__main__":
    sys.stdout.write(f"{ensure_environment()}\n")
