"""Which session each device had last, on disk: a broker that was killed could not say that its devices are gone.

At the next start the end of every last session is told. That is true whatever happened meanwhile, and told twice it
changes nothing: a session that ended, or that a newer one followed, is ignored.
"""

import json
from pathlib import Path
from typing import Final, TextIO

FILE: Final = "broker-sessions.jsonl"
Names = tuple[str, str]
"""Product key and device name."""


class SessionJournal:
    """One line per log-in, never read again until the next start, when it shrinks to one line per device."""

    def __init__(self, folder: Path) -> None:
        """Read what the last broker left behind; an unreadable last line is a write that a kill cut off."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / FILE
        self.ended = _read(self._path)
        """The last session of each device, all of them over."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(_line(names, session) for names, session in self.ended.items()))
        fresh.replace(self._path)
        self._file: TextIO = self._path.open("a")

    def opened(self, names: Names, session: str) -> None:
        """A device logged in; survives a kill of this process, not a power cut."""
        self._file.write(_line(names, session))
        self._file.flush()

    def close(self) -> None:
        """Let the file go; its lines stay."""
        self._file.close()


def _line(names: Names, session: str) -> str:
    return json.dumps([*names, session]) + "\n"


def _read(path: Path) -> dict[Names, str]:
    last: dict[Names, str] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            product_key, device_name, session = json.loads(line)
        except ValueError:
            continue
        last[product_key, device_name] = session
    return last
