from hypothesis import given
from hypothesis import strategies as st

from ota_console.outbox import events

CHANGES = st.builds(
    events.task_changed,
    task=st.sampled_from("tuv"),
    batch=st.sampled_from("ab"),
    device=st.just("d"),
    status=st.integers(0, 6),
    previous=st.integers(0, 6),
    progress=st.none() | st.integers(0, 100),
)
OTHERS = st.builds(events.batch_changed, batch=st.sampled_from("ab"), package=st.just("p"))


@given(told=st.lists(CHANGES | OTHERS, max_size=30))
def test_unpacking_gives_back_what_was_packed_in_its_order(told: list[events.Event]) -> None:
    """Packing only saves bytes."""
    assert list(events.unpack(events.pack(told))) == told


def test_every_event_is_an_object_with_its_kind() -> None:
    """What leaves the house is JSON that names itself."""
    told = [
        events.tasks_range(batch="b", status=1, count=5),
        events.package_changed(package="p"),
        events.version_changed(device="d", module=1, version="2", previous="1"),
        events.presence_changed(device="d", is_online=True),
    ]
    assert [event["kind"] for event in told] == [
        "tasks.range",
        "package.changed",
        "version.changed",
        "presence.changed",
    ]
    assert events.pack(told) == told


def test_neighbouring_changes_of_one_batch_share_an_event() -> None:
    """A micro-batch over one batch is one event with rows."""
    told = [
        events.task_changed(task=name, batch="b", device="d", status=3, previous=3, progress=5) for name in ("t", "u")
    ]
    assert events.pack(told) == [
        {"kind": "tasks.changed", "batch": "b", "rows": [["t", "d", 3, 3, 5], ["u", "d", 3, 3, 5]]}
    ]
