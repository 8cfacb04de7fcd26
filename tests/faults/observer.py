"""A client beside the devices that sees every push, and when it left."""

import contextlib
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from typing import Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

PUSHES: Final = "/ota/device/upgrade/#"


class Observer:
    """Counts pushes by device name and keeps their times on the monotonic clock."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.by_device: Counter[str] = Counter()

    def saw(self, topic: str) -> None:
        """One push."""
        self.times.append(time.monotonic())
        self.by_device[topic.rsplit("/", 1)[-1]] += 1

    def most_within(self, seconds: float) -> int:
        """The largest number of pushes in any window of this length."""
        return max(
            (bisect_right(self.times, start + seconds) - position for position, start in enumerate(self.times)),
            default=0,
        )


@contextlib.contextmanager
def observing(port: int) -> Iterator[Observer]:
    """Connected for the length of a block, and again after the broker was away."""
    seen = Observer()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="observer")
    client.on_connect = _subscribe
    client.on_message = lambda _client, _data, message: seen.saw(message.topic)
    client.reconnect_delay_set(1, 1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield seen
    finally:
        client.disconnect()
        client.loop_stop()


def _subscribe(client: mqtt.Client, *_: object) -> None:
    client.subscribe(PUSHES, 0)
