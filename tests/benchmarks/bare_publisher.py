"""The bare limit of a push: a plain paho publisher at QoS 1 with a bounded window.

    python -m tests.benchmarks.bare_publisher PORT FILE

FILE: `messages.write_messages`.
"""

import sys
import threading
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
    connected, window, left = threading.Event(), threading.Semaphore(WINDOW), len(messages)
    finished = threading.Event()

    def published(*_: object) -> None:
        nonlocal left
        left -= 1
        window.release()
        if not left:
            finished.set()

    client.on_publish = published
    client.on_connect = lambda *_: connected.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    connected.wait()
    helpers.say_ready()
    helpers.wait_for_go()
    for topic, payload in messages:
        window.acquire()
        client.publish(topic, payload, 1)
    finished.wait()
    helpers.say_done(time.monotonic())


if __name__ == "__main__":
    main()
