"""The demo's one log: time, part, what happened. Events of our own programs come as JSON and leave as words."""

import json
import threading
from typing import Any, Final, TextIO

from ota_console.core import clock

PART_WIDTH: Final = 9
LEFT_OUT: Final = frozenset({"event", "level", "logger", "timestamp", "exception"})
CHATTER: Final = (
    "worker: Hitting Ctrl+C again",
    "worker: Cold shutdown",
    "Waiting gracefully for cold shutdown",
    "Initiating Soft Shutdown",
    "Restoring 1 unacknowledged",
)
"""What Celery says whenever it is stopped, and what is of no use to anybody."""
CALM: Final = frozenset({"debug", "info"})


class Log:
    """Takes lines of several parts from several threads; lines never mix."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, part: str, line: str) -> None:
        words = in_words(line)
        if any(chatter in words for chatter in CHATTER):
            return
        with self._lock:
            self._stream.write(f"{clock.now().astimezone():%H:%M:%S}  {part:<{PART_WIDTH}}  {words}\n")
            self._stream.flush()


def in_words(line: str) -> str:
    """`event field=value`, with the level in front where it is not calm; other lines as they are."""
    if not line.startswith("{"):
        return line
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:
        return line
    level = str(event.get("level", "info"))
    fields = [f"{name}={value}" for name, value in event.items() if name not in LEFT_OUT]
    words = " ".join([str(event.get("event", "")), *fields])
    trace = f"\n{event['exception']}" if "exception" in event else ""
    return f"{words}{trace}" if level in CALM else f"{level.upper()} {words}{trace}"
