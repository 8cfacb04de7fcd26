"""What operators should find on a device's page: messages that were dropped, failure codes without an update."""

from collections import Counter
from datetime import datetime
from typing import Final

from devices_app import sql

LINES_PER_FLUSH: Final = 5
"""Lines a device may cause in one micro-batch: a flood must not fill the disk."""


class DeviceLog:
    """Lines by device, and counts of dropped messages by reason whoever sent them."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._lines: list[tuple[int, str, str]] = []
        self._line_count: Counter[int] = Counter()
        self.dropped: Counter[str] = Counter()

    def drop(self, device_id: int | None, reason: str, detail: str = "") -> None:
        """A message that has no effect; counted, and shown where the device is known."""
        self.dropped[reason] += 1
        if device_id is not None:
            self.note(device_id, reason, detail)

    def note(self, device_id: int, reason: str, detail: str) -> None:
        """A line for the device's page."""
        self._line_count[device_id] += 1
        if self._line_count[device_id] <= LINES_PER_FLUSH:
            self._lines.append((device_id, reason, detail))

    def write(self) -> None:
        """Two statements at most."""
        sql.insert_log(self._lines, self._now)
        sql.count_drops(self.dropped, self._now)
