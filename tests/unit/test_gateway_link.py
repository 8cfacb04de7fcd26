"""The gateway's network thread, without a network."""

import pytest

from ota_console.gateway.adapter import BrokerUnavailable, Endpoint
from ota_console.gateway.batcher import Batcher
from ota_console.gateway.link import BrokerLink
from ota_console.gateway.packets import Message
from ota_console.gateway.session import Received


def test_a_message_without_room_ends_the_connection() -> None:
    """Else nobody acknowledged it, and all later acknowledgements would wait for it: the broker delivers it again."""
    batcher: Batcher[Received] = Batcher(max_waiting=1)
    link = BrokerLink(endpoint=Endpoint("127.0.0.1", 1), client_id="gateway", batchers=[batcher])
    link._received(Message(1, 1, False, "/ota/device/progress/pk000001/meter-1", b"{}"))
    with pytest.raises(BrokerUnavailable):
        link._received(Message(2, 1, False, "/ota/device/progress/pk000001/meter-1", b"{}"))
    assert len(batcher.gather(timeout_seconds=0)) == 1
