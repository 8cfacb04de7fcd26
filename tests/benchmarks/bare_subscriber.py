"""The bare limit of ingest: a plain paho subscriber at QoS 1 that only counts.

python -m tests.benchmarks.bare_subscriber PORT MESSAGE_COUNT
"""

import sys
import time

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from devices_app.protocol.topics import GATEWAY_FILTERS
from tests.benchmarks import helpers


def main() -> None:
    port, expected = int(sys.argv[1]), int(sys.argv[2])
    count = 0
    client = Client(CallbackAPIVersion.VERSION2, client_id="bare-subscriber")

    def received(_client: Client, _data: object, _message: MQTTMessage) -> None:
        nonlocal count
        count += 1
        if count == expected:
            helpers.say_done(time.monotonic())

    def connected(*_: object) -> None:
        client.subscribe([(name, 1) for name in GATEWAY_FILTERS])

    client.on_message = received
    client.on_subscribe = lambda *_: helpers.say_ready()
    client.on_connect = connected
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    main()
