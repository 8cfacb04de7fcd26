import threading

from hypothesis import given
from hypothesis import strategies as st

from ota_console.gateway.batcher import Batcher


def drain(batcher: Batcher[int]) -> list[list[int]]:
    """Gather until nothing is left."""
    batches = []
    while batch := batcher.gather(timeout_seconds=0.001):
        batches.append(batch)
    return batches


@given(items=st.lists(st.integers(), max_size=60), size=st.integers(1, 20))
def test_gathers_everything_once_in_order_and_never_more_than_the_bound(items: list[int], size: int) -> None:
    """However many items come, none is lost, doubled or overtaken, and no micro-batch exceeds its size."""
    batcher: Batcher[int] = Batcher(max_messages=size, max_seconds=60)
    for item in items:
        batcher.put(item)
    batches = drain(batcher)
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) <= size for batch in batches)


@given(actions=st.lists(st.one_of(st.just("gather"), st.integers()), max_size=60), bound=st.integers(1, 10))
def test_never_holds_more_than_its_bound_and_says_what_it_refused(actions: list[str | int], bound: int) -> None:
    """Puts and gathers in any order: what was accepted comes out in order, what was refused is told, room is exact."""
    batcher: Batcher[int] = Batcher(max_messages=3, max_seconds=60, max_waiting=bound)
    accepted: list[int] = []
    gathered: list[int] = []
    for action in actions:
        if isinstance(action, int):
            room = batcher.room
            assert batcher.put(action) == (room > 0)
            accepted += [action] * (room > 0)
        else:
            gathered += batcher.gather(timeout_seconds=0)
        assert batcher.room == bound - (len(accepted) - len(gathered))
        assert 0 <= batcher.room <= bound
    assert gathered + [item for batch in drain(batcher) for item in batch] == accepted


def test_ends_a_micro_batch_when_its_time_is_over() -> None:
    """A queue that never runs dry still gives a micro-batch within its time."""
    ticks = iter(range(100))
    batcher: Batcher[int] = Batcher(max_messages=1000, max_seconds=3, monotonic=lambda: float(next(ticks)))
    for item in range(50):
        batcher.put(item)
    assert batcher.gather(timeout_seconds=0) == [0, 1, 2]


def test_ends_a_micro_batch_when_the_queue_runs_dry() -> None:
    """When it is quiet, a message does not wait for company."""
    batcher: Batcher[int] = Batcher(max_seconds=60)
    batcher.put(1)
    assert batcher.gather(timeout_seconds=0) == [1]


def test_gathers_nothing_after_its_timeout() -> None:
    """A worker that may stop looks up from time to time."""
    assert Batcher[int]().gather(timeout_seconds=0.001) == []


def test_keeps_order_between_two_threads() -> None:
    """One thread puts while another gathers: each device's messages stay in order, since all do."""
    batcher: Batcher[int] = Batcher(max_messages=7, max_waiting=10_000)
    thread = threading.Thread(target=lambda: [batcher.put(item) for item in range(2_000)])
    thread.start()
    gathered: list[int] = []
    while len(gathered) < 2_000:
        gathered += batcher.gather(timeout_seconds=5)
    thread.join()
    assert gathered == list(range(2_000))
