from ota_console.outbox import events


def test_every_event_is_an_object_with_its_kind() -> None:
    """What leaves the house is JSON that names itself."""
    told = [
        events.tasks_changed(batch="b", rows=[("t", "d", 3, 3, 5)]),
        events.tasks_range(batch="b", status=1, count=5),
        events.batch_changed(batch="b", package="p"),
        events.package_changed(package="p"),
        events.versions_changed([("d", 1, "2", "1")]),
        events.presence_changed(device="d", is_online=True),
    ]
    assert [event["kind"] for event in told] == [
        "tasks.changed",
        "tasks.range",
        "batch.changed",
        "package.changed",
        "versions.changed",
        "presence.changed",
    ]
