"""A process that plays a fleet: sends packets that were encoded beforehand, and takes the broker's acknowledgements.

    python -m tests.benchmarks.generator PORT FILE...

One connection for each file (`messages.write_packets`): device messages of one device all stand in one file, in order.
"""

import selectors
import sys
import time
from pathlib import Path
from typing import Final

from tests.benchmarks import helpers, wire

SEND_BYTES: Final = 65_536


class Sender:
    """One connection to the broker."""

    def __init__(self, port: int, file: Path) -> None:
        content = file.read_bytes()
        self._left = memoryview(content)[8:]
        self._unacknowledged_bytes = int.from_bytes(content[:8], "big") * wire.PUBACK_BYTES
        self.socket = wire.open_connection(port, file.name)
        self.socket.setblocking(False)

    @property
    def events(self) -> int:
        """What to wait for; 0 when everything is acknowledged."""
        if self._unacknowledged_bytes <= 0:
            return 0
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._left else 0)

    def turn(self, events: int) -> None:
        """Send and receive what is possible now."""
        if events & selectors.EVENT_WRITE:
            self._left = self._left[self.socket.send(self._left[:SEND_BYTES]) :]
        if events & selectors.EVENT_READ:
            received = len(self.socket.recv(SEND_BYTES))
            if not received:
                raise ConnectionError("The broker closed the connection.")
            self._unacknowledged_bytes -= received


def send_all(senders: list[Sender]) -> None:
    """Until the broker has acknowledged everything."""
    with selectors.DefaultSelector() as selector:
        for sender in senders:
            selector.register(sender.socket, sender.events, sender)
        while selector.get_map():
            for key, events in selector.select():
                ready: Sender = key.data
                ready.turn(events)
                if not ready.events:
                    selector.unregister(ready.socket)
                elif ready.events != key.events:
                    selector.modify(ready.socket, ready.events, ready)


def main() -> None:
    senders = [Sender(int(sys.argv[1]), Path(name)) for name in sys.argv[2:]]
    helpers.say_ready()
    helpers.wait_for_go()
    send_all(senders)
    helpers.say_done(time.monotonic())


if __name__ == "__main__":
    main()
