import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices_app.protocol import topics
from ota_console.gateway.session import (
    FINGERPRINT_BYTES,
    AcknowledgementOrder,
    Backoff,
    Journal,
    Received,
    fingerprint,
    partition_of,
)


def received(mid: int, payload: bytes = b"{}", *, is_duplicate: bool = False, topic: str = "/t") -> Received:
    return Received(1, mid, 1, is_duplicate, topic, payload)


def journal_of(*messages: Received, capacity: int = 100) -> Journal:
    journal = Journal(capacity=capacity)
    journal.add(1, b"".join(fingerprint(message) for message in messages))
    return journal


def test_a_committed_report_that_comes_again_was_applied() -> None:
    """The broker repeats what it saw no acknowledgement for, under the same id and marked as a duplicate."""
    assert journal_of(received(7)).was_applied(received(7, is_duplicate=True))


def test_a_first_delivery_was_never_applied() -> None:
    """A broker may use a message id again: without the mark it is a new message, whatever it says."""
    assert not journal_of(received(7)).was_applied(received(7))


def test_a_duplicate_of_something_else_was_not_applied() -> None:
    """Another id, another payload or another topic is another message."""
    journal = journal_of(received(7, b"a"))
    assert not journal.was_applied(received(8, b"a", is_duplicate=True))
    assert not journal.was_applied(received(7, b"b", is_duplicate=True))
    assert not journal.was_applied(received(7, b"a", is_duplicate=True, topic="/u"))


def test_loading_replaces_what_was_remembered() -> None:
    """After a reconnect only what the database says counts."""
    journal = journal_of(received(1))
    journal.load([(5, fingerprint(received(2)))])
    assert not journal.was_applied(received(1, is_duplicate=True))
    assert journal.was_applied(received(2, is_duplicate=True))


@given(sizes=st.lists(st.integers(0, 6), min_size=1, max_size=40), capacity=st.integers(1, 12))
def test_remembers_at_least_its_capacity_and_little_more(sizes: list[int], capacity: int) -> None:
    """Of all committed reports, the newest `capacity` are always known; what may be forgotten is told in order."""
    journal = Journal(capacity=capacity)
    messages: list[Received] = []
    forgotten = 0
    for entry, size in enumerate(sizes, start=1):
        new = [received(len(messages) + i) for i in range(size)]
        messages += new
        told = journal.add(entry, b"".join(fingerprint(message) for message in new))
        assert told == 0 or forgotten < told < entry
        forgotten = max(forgotten, told)
    again = [message._replace(is_duplicate=True) for message in messages]
    assert all(journal.was_applied(message) for message in again[-capacity:])
    kept = sum(sizes[forgotten:])
    assert kept < capacity + max(sizes) + 1


def test_a_fingerprint_has_its_size_for_any_topic() -> None:
    """Entries are joined fingerprints: one of another size would shift all that follow."""
    assert len(fingerprint(received(65_535, topic="\udcff/ü"))) == FINGERPRINT_BYTES


def test_waiting_times_double_up_to_a_limit_and_start_again() -> None:
    """A broker that is away for long is asked rarely; one that comes back is trusted at once."""
    backoff = Backoff(first_seconds=1, most_seconds=5)
    assert [backoff.next_seconds() for _ in range(4)] == [1, 2, 4, 5]
    backoff.reset()
    assert backoff.next_seconds() == 1


def test_knows_whether_something_failed_since_the_last_success() -> None:
    """An attempt after a failure first looks whether the failed one arrived."""
    backoff = Backoff(first_seconds=1, most_seconds=5)
    seen = [backoff.is_waiting]
    backoff.next_seconds()
    seen.append(backoff.is_waiting)
    backoff.reset()
    seen.append(backoff.is_waiting)
    assert seen == [False, True, False]


@given(name=st.text("meter0123456789-:.", min_size=4, max_size=32), count=st.integers(1, 4))
def test_all_messages_of_a_device_go_to_one_worker(name: str, count: int) -> None:
    """Whatever their topic: one device's messages are applied in the order the broker gave them (rules.md §7)."""
    ways = (topics.inform, topics.progress, topics.legacy_request, topics.firmware_get, topics.file_download)
    found = {partition_of(way("pk000001", name), count) for way in (*ways, topics.presence)}
    assert len(found) == 1
    assert found <= set(range(count))


def test_devices_are_shared_out_among_the_workers() -> None:
    """No worker is left idle, none has nearly all."""
    shares = [partition_of(topics.progress("pk000001", f"meter-{number}"), 2) for number in range(1_000)]
    assert 400 < sum(shares) < 600


@given(st.permutations(range(1, 9)), st.lists(st.integers(1, 8), max_size=7))
def test_acknowledgements_leave_in_the_order_of_the_messages(settled: list[int], cuts: list[int]) -> None:
    """Whichever worker is faster (MQTT 3.1.1 §4.6); when all are settled, all have left."""
    order = AcknowledgementOrder()
    for mid in range(1, 9):
        order.came(mid)
    left: list[int] = []
    done: set[int] = set()
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), 8], strict=True):
        done.update(settled[start:end])
        left += order.settle(settled[start:end])
        assert set(left) <= done
    assert left == list(range(1, 9))


@pytest.mark.parametrize("topic", ["", "/", "/sys/pk", "/sys", "x/\udc80", "/sys/pk/\udc80/thing/file/download"])
def test_a_strange_topic_has_its_worker_too(topic: str) -> None:
    """It is dropped there, and counted."""
    assert partition_of(topic, 2) in {0, 1}
