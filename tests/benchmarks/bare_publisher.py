"""The bare limit of a push: a plain paho publisher at QoS 1 with a bounded window.

    python -m tests.benchmarks.bare_publisher PORT FILE

FILE: `messages.write_messages`. It publishes the next message when one is acknowledged, all in paho's own thread: of
the plain ways to use the library this is the fastest one (twice as fast as a second thread that waits for room).
"""

import sys
import time
from pathlib import Path
from typing import Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.benchmarks import helpers
from tests.benchmarks.messages import read_messages

WINDOW: Final = 100
"""Unacknowledged messages; paho's best lies between 20 and 100 (a larger one gains nothing)."""


def main() -> None:
    port, messages = int(sys.argv[1]), read_messages(Path(sys.argv[2]))
    client = Client(CallbackAPIVersion.VERSION2, client_id="bare-publisher")
    client.max_inflight_messages_set(0)  # our own window stands in for paho's, which it would scan at every answer
    waiting, left = iter(messages), len(messages)

    def publish_next() -> None:
        message = next(waiting, None)
        if message is not None:
            client.publish(*message, 1)

    def published(*_: object) -> None:
        nonlocal left
        left -= 1
        if left:
            publish_next()
        else:
            helpers.say_done(time.monotonic())

    def connected(*_: object) -> None:
        helpers.say_ready()
        helpers.wait_for_go()
        for _number in range(WINDOW):
            publish_next()

    client.on_publish = published
    client.on_connect = connected
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    main()
