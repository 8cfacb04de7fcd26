"""Which clients of the embedded broker a topic reaches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota_console.demo.broker_router import Router, is_filter

WORDS = st.sampled_from(["", "a", "b", "c"])
TOPICS = st.lists(WORDS, min_size=1, max_size=4).map("/".join)
FILTERS = st.tuples(st.lists(st.sampled_from(["", "a", "b", "+"]), min_size=1, max_size=4), st.booleans()).map(
    lambda parts: "/".join([*parts[0], "#"] if parts[1] else parts[0])
)


def fits(topic: list[str], filter_: list[str]) -> bool:
    """The rule of MQTT 3.1.1 §4.7, said slowly."""
    if not filter_:
        return not topic
    if filter_[0] == "#":
        return True
    return bool(topic) and filter_[0] in ("+", topic[0]) and fits(topic[1:], filter_[1:])


@given(st.lists(st.tuples(st.sampled_from(["x", "y", "z"]), FILTERS, st.integers(0, 1)), max_size=8), TOPICS)
def test_a_topic_reaches_whoever_has_a_fitting_filter(held: list[tuple[str, str, int]], topic: str) -> None:
    """At the highest QoS of the filters that fit; a repeated filter counts as it was said last."""
    router = Router()
    last = {}
    for client, filter_, qos in held:
        router.subscribe(client, filter_, qos)
        last[client, filter_] = qos
    expected: dict[str, int] = {}
    for (client, filter_), qos in last.items():
        if fits(topic.split("/"), filter_.split("/")):
            expected[client] = max(qos, expected.get(client, 0))
    assert router.route(topic) == expected


@given(st.lists(st.tuples(st.sampled_from(["x", "y"]), FILTERS), max_size=8), TOPICS)
def test_a_forgotten_client_is_reached_no_more_and_leaves_no_trace(held: list[tuple[str, str]], topic: str) -> None:
    """The tree does not grow with devices that come and go."""
    router = Router()
    for client, filter_ in held:
        router.subscribe(client, filter_, 1)
    router.forget("x")
    assert "x" not in router.route(topic)
    router.forget("y")
    assert not router._root.children
    assert router.filter_count("y") == 0


def test_unsubscribing_one_filter_keeps_the_others() -> None:
    """Also where one is the beginning of the other, and where it was never subscribed."""
    router = Router()
    router.subscribe("x", "a/b", 1)
    router.subscribe("x", "a/b/c", 1)
    router.unsubscribe("x", "a/b")
    router.unsubscribe("x", "a/q")
    assert router.route("a/b") == {}
    assert router.route("a/b/c") == {"x": 1}


@pytest.mark.parametrize("text", ["a", "/", "+", "#", "a/+/b", "a/#", "+/+/#"])
def test_a_well_formed_filter(text: str) -> None:
    """Wildcards stand alone on their level, and `#` comes last."""
    assert is_filter(text)


@pytest.mark.parametrize("text", ["", "a+", "a/b#", "#/a", "a/#/b", "a\0"])
def test_a_malformed_filter(text: str) -> None:
    """It is refused."""
    assert not is_filter(text)
