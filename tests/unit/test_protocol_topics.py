"""Topic names, and who may use them."""

import pytest

from devices_app.protocol import topics
from devices_app.protocol.topics import Action, TopicKind, classify, device_may

PK, DN = "a1B2c3D4e5F", "dev001"


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        (topics.inform(PK, DN), TopicKind.INFORM),
        (topics.progress(PK, DN), TopicKind.PROGRESS),
        (topics.legacy_request(PK, DN), TopicKind.REQUEST),
        (topics.firmware_get(PK, DN), TopicKind.PULL),
        (topics.file_download(PK, DN), TopicKind.FILE_DOWNLOAD),
        (topics.presence(PK, DN), TopicKind.PRESENCE),
    ],
)
def test_what_the_gateway_hears_is_recognised(topic: str, kind: TopicKind) -> None:
    """Kind and device come from the topic alone."""
    assert classify(topic) == (kind, PK, DN)


@pytest.mark.parametrize(
    "topic",
    [
        topics.upgrade(PK, DN),
        topics.firmware_get_reply(PK, DN),
        topics.file_download_reply(PK, DN),
        "/sys/x",
        "ota/presence/a",
    ],
)
def test_what_goes_down_is_not_for_the_gateway(topic: str) -> None:
    """Nor is anything else."""
    assert classify(topic) is None


def test_the_gateway_filters_cover_every_kind() -> None:
    """One filter per kind."""
    assert len(topics.GATEWAY_FILTERS) == len(TopicKind)


OWN = [
    *topics.delivered_unasked(PK, DN),
    topics.inform(PK, DN),
    topics.legacy_request(PK, DN),
    f"/sys/{PK}/{DN}/thing/event/property/post_reply",
    f"/shadow/get/{PK}/{DN}",
    f"/ext/ntp/{PK}/{DN}/request",
    f"/{PK}/{DN}/user/get",
]


@pytest.mark.parametrize("topic", OWN)
@pytest.mark.parametrize("action", Action)
def test_a_device_may_use_its_own_topics(topic: str, action: Action) -> None:
    """All of them, both ways: what we do not know is ignored (interop.md 6)."""
    assert device_may(topic, PK, DN, action)


@pytest.mark.parametrize("topic", OWN)
@pytest.mark.parametrize(("pk", "dn"), [(PK, "dev002"), ("other", DN), (DN, PK)])
def test_a_device_may_not_use_another_ones_topics(topic: str, pk: str, dn: str) -> None:
    """Not of its own product, not of another."""
    assert not device_may(topic, pk, dn, Action.PUBLISH)
    assert not device_may(topic, pk, dn, Action.SUBSCRIBE)


@pytest.mark.parametrize(
    "filter_", [f"/sys/{PK}/{DN}/#", f"/sys/{PK}/{DN}/rrpc/request/+", f"/ota/device/+/{PK}/{DN}", "/ext/register"]
)
def test_wildcards_behind_the_own_name_are_for_subscribing_only(filter_: str) -> None:
    """The Node SDK subscribes with them."""
    assert device_may(filter_, PK, DN, Action.SUBSCRIBE)
    assert not device_may(filter_, PK, DN, Action.PUBLISH)


@pytest.mark.parametrize(
    "topic",
    [
        "#",
        "+",
        "/#",
        "/sys/#",
        f"/sys/{PK}/#",
        f"/sys/{PK}/+/thing/#",
        f"/ota/device/inform/{PK}/+",
        f"ota/presence/{PK}/{DN}",
        "$SYS/#",
        "",
    ],
)
def test_nothing_wider_than_itself_and_nothing_internal(topic: str) -> None:
    """Neither other devices nor the presence topics."""
    assert not device_may(topic, PK, DN, Action.SUBSCRIBE)
    assert not device_may(topic, PK, DN, Action.PUBLISH)
