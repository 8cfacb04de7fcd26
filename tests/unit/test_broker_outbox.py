"""Deliveries of the embedded broker to one client: in order, at least once, bounded."""

from ota_console.demo.broker_outbox import Limits, Message, Outbox


def message(number: int) -> Message:
    return Message("t", str(number).encode(), 1)


def sent(packets: list[bytes]) -> list[tuple[int, bool, bytes]]:
    """Packet id, duplicate flag and payload of publishes to the topic `t`."""
    return [(int.from_bytes(p[5:7], "big"), bool(p[0] & 8), p[7:]) for p in packets]


def test_no_more_is_under_way_than_the_window_allows() -> None:
    """The rest waits for acknowledgements, in order."""
    box = Outbox(Limits(window=2, queue=10))
    written = [sent(box.offer(message(n), is_connected=True)) for n in range(4)]
    assert written == [[(1, False, b"0")], [(2, False, b"1")], [], []]
    assert sent(box.acknowledged(1)) == [(3, False, b"2")]
    assert sent(box.acknowledged(99)) == []


def test_a_client_that_comes_back_gets_again_what_it_did_not_acknowledge() -> None:
    """Marked as duplicates, before what came meanwhile."""
    box = Outbox(Limits(window=5, queue=10))
    for number in range(3):
        box.offer(message(number), is_connected=True)
    box.acknowledged(2)
    assert box.offer(message(3), is_connected=False) == []
    assert sent(box.resume()) == [(1, True, b"0"), (3, True, b"2"), (4, False, b"3")]


def test_a_full_queue_loses_the_newest_and_counts_it() -> None:
    """A client that acknowledges nothing must not fill the memory."""
    box = Outbox(Limits(window=1, queue=2))
    for number in range(5):
        box.offer(message(number), is_connected=True)
    assert box.lost_count == 2


def test_packet_ids_start_again_and_skip_those_under_way() -> None:
    """They are 1 to 65,535."""
    box = Outbox(Limits(window=2, queue=1))
    box.offer(message(0), is_connected=True)
    for number in range(2, 65_536):
        box.offer(message(number), is_connected=True)
        box.acknowledged(number)
    assert sent(box.offer(message(1), is_connected=True)) == [(2, False, b"1")]


def test_without_an_id_a_message_is_qos_0() -> None:
    """As devices that subscribed at QoS 0 get it."""
    assert message(7).packet(None) == b"\x30\x04\x00\x01t7"
