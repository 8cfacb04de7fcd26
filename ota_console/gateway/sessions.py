"""Tells the broker to end a device's session (port `SessionEnder`): a message on a topic that only our account may use.

The embedded broker obeys it; at others, a small bridge may (docs/reference/broker-hooks.md), or nobody listens.
"""

from contextlib import closing
from typing import Final

from devices_app.ports import PublisherUnavailable, PushToken
from devices_app.protocol import topics
from ota_console.gateway.publisher import publisher_by_settings

ACKNOWLEDGE_SECONDS: Final = 5.0
_TOKEN: Final = PushToken(0, 1)


def end_session_by_message(product_key: str, device_name: str) -> None:
    """Publish it and wait until the broker has it. Raises PublisherUnavailable."""
    with closing(publisher_by_settings()) as publisher:
        publisher.publish(topics.session_end(product_key, device_name), b"", _TOKEN)
        if _TOKEN not in publisher.take_acknowledged(timeout_seconds=ACKNOWLEDGE_SECONDS):
            raise PublisherUnavailable("The broker did not acknowledge the end of a session.")
