from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ota_console.live.coalesce import Coalescer

STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99), st.floats(0, 0.5)), max_size=60)


@given(steps=STEPS)
def test_each_key_ends_with_its_last_value_at_a_bounded_rate(steps: list[tuple[str, int, float]]) -> None:
    """Whatever comes and whenever one looks: the last value arrives, and no key more often than its interval allows."""
    coalescer: Coalescer[str, int] = Coalescer(interval_seconds=0.25)
    at = 0.0
    released: list[tuple[float, str, int]] = []
    for key, value, pause in steps:
        at += pause
        coalescer.offer(key, value)
        released += [(at, name, got) for name, got in coalescer.take(at).items()]
    while (due := coalescer.next_at()) is not None:
        at = max(at, due)
        released += [(at, name, got) for name, got in coalescer.take(at).items()]
    for name in "abc":
        mine = [(moment, value) for moment, key, value in released if key == name]
        offered = [value for key, value, _ in steps if key == name]
        assert [value for _, value in mine][-1:] == offered[-1:]
        assert all(later[0] >= earlier[0] + 0.25 for earlier, later in pairwise(mine))


@given(keys=st.lists(st.integers(0, 30), max_size=80))
def test_holds_no_more_keys_than_its_bound_and_says_when_it_had_to_refuse(keys: list[int]) -> None:
    """A page that sleeps while everything changes costs bounded memory; it reads everything again afterwards."""
    coalescer: Coalescer[int, None] = Coalescer(most_keys=10)
    for key in keys:
        coalescer.offer(key, None)
        assert len(coalescer) <= 10
    assert coalescer.has_overflowed == (len(set(keys)) > 10)
    coalescer.clear()
    assert not coalescer.has_overflowed
    assert coalescer.next_at() is None


def test_a_first_value_is_due_at_once() -> None:
    """A quiet page is told without delay."""
    coalescer: Coalescer[str, int] = Coalescer()
    coalescer.offer("a", 1)
    assert coalescer.take(5.0) == {"a": 1}


def test_a_second_value_waits_for_the_interval_and_is_the_newest() -> None:
    """Between two frames only the last value counts."""
    coalescer: Coalescer[str, int] = Coalescer(interval_seconds=0.25)
    coalescer.offer("a", 1)
    coalescer.take(5.0)
    coalescer.offer("a", 2)
    coalescer.offer("a", 3)
    assert coalescer.take(5.1) == {}
    assert coalescer.next_at() == 5.25
    assert coalescer.take(5.25) == {"a": 3}
