"""What devices and brokers send becomes values; nothing they send raises."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices_app.protocol.parsing import MAX_PAYLOAD_BYTES, parse, parse_presence
from devices_app.protocol.payloads import (
    Dropped,
    DropReason,
    Echo,
    FileDownload,
    LegacyRequest,
    Notice,
    NoticeFile,
    Presence,
    ProgressReport,
    PullRequest,
    VersionReport,
    encode_presence,
    push,
)
from devices_app.protocol.topics import TopicKind

PK, DN = "a1B2c3D4e5F", "dev001"
INFORM = f"/ota/device/inform/{PK}/{DN}"
PROGRESS = f"/ota/device/progress/{PK}/{DN}"
REQUEST = f"/ota/device/request/{PK}/{DN}"
PULL = f"/sys/{PK}/{DN}/thing/ota/firmware/get"
DOWNLOAD = f"/sys/{PK}/{DN}/thing/file/download"
PRESENCE = f"ota/presence/{PK}/{DN}"
BLOCK = (
    b'{"id":"1","version":"1.0","params":{"fileToken":"default",'
    b'"fileInfo":{"streamId":27367,"fileId":1},"fileBlock":{"size":5120,"offset":0}}}'
)


def reason_of(topic: str, payload: bytes) -> DropReason:
    message = parse(topic, payload)
    assert isinstance(message, Dropped)
    return message.reason


@pytest.mark.parametrize(
    "envelope", [b'"id":"123",', b'"id":1, ', b'"id":1,"version":"1.0","method":"thing.inform",', b""]
)
def test_a_version_report_needs_nothing_but_its_params(envelope: bytes) -> None:
    """`id` may be a number, a string or missing; `version` and `method` may be missing."""
    message = parse(INFORM, b"{" + envelope + b'"params":{"version":"1.0.1","module":"MCU"}}')
    assert message == VersionReport(PK, DN, "MCU", "1.0.1")


@pytest.mark.parametrize("module", [b"", b',"module":"default"', b',"module":""', b',"module":null'])
def test_a_module_left_out_is_the_default_module(module: bytes) -> None:
    """The default module is the whole firmware and is left out on the wire."""
    assert parse(INFORM, b'{"id":1,"params":{"version":"2.0"' + module + b"}}") == VersionReport(
        PK, DN, "default", "2.0"
    )


@pytest.mark.parametrize(
    ("step", "expected"), [(b'"-1"', -1), (b"-4", -4), (b"0", 0), (b'"100"', 100), (b'" 50 "', 50), (b"25.0", 25)]
)
def test_a_step_may_be_a_string_or_a_number(step: bytes, expected: int) -> None:
    """Vendor SDKs send strings, others numbers."""
    message = parse(PROGRESS, b'{"id":"1","params":{"step":' + step + b',"desc":"x","module":"MCU"}}')
    assert message == ProgressReport(PK, DN, "MCU", expected, "x")


@pytest.mark.parametrize(
    "step", [b"101", b"-5", b'"fast"', b"true", b"null", b"[]", b"1.5", b"1e300", b'"1_0"', b'"\xd9\xa3"']
)
def test_an_absurd_step_is_dropped(step: bytes) -> None:
    """Outside −4 … 100, or not a number."""
    assert reason_of(PROGRESS, b'{"params":{"step":' + step + b"}}") is DropReason.BAD_STEP


def test_the_text_of_a_progress_report_is_cut_and_cleaned() -> None:
    """It goes to the database and to the screen."""
    message = parse(PROGRESS, orjson.dumps({"params": {"step": "1", "desc": "a\0b\n" + "c" * 500}}))
    assert isinstance(message, ProgressReport)
    assert message.desc == "a b " + "c" * 124


def test_text_in_another_encoding_does_not_lose_the_step() -> None:
    """A device with GBK texts reports its failure all the same."""
    message = parse(PROGRESS, '{"params":{"step":"-2","desc":"下载"}}'.encode("gbk"))
    assert isinstance(message, ProgressReport)
    assert message.step == -2


def test_a_desc_of_another_type_is_left_out() -> None:
    """Only the text is lost, not the report."""
    assert parse(PROGRESS, b'{"params":{"step":3,"desc":{"a":1}}}') == ProgressReport(PK, DN, "default", 3, "")


@pytest.mark.parametrize("body", [b'{"id":7, "params":{}}', b'{"id":7}', b'{"id":7,"params":null}'])
def test_a_pull_without_envelope_is_understood(body: bytes) -> None:
    """The C and Python SDKs send neither version nor method."""
    assert parse(PULL, body) == PullRequest(PK, DN, 7, "default")


def test_a_pull_keeps_the_id_as_it_came() -> None:
    """The answer must repeat it with its type."""
    body = b'{"id":"123","version":"1.0","params":{"module":"MCU"},"method":"thing.ota.firmware.get"}'
    assert parse(PULL, body) == PullRequest(PK, DN, "123", "MCU")


@pytest.mark.parametrize("value", [b"true", b"{}", b"1.5", b'"' + b"9" * 65 + b'"', b"9" * 30])
def test_an_absurd_id_of_a_pull_is_dropped(value: bytes) -> None:
    """It would have to be repeated in the answer."""
    assert reason_of(PULL, b'{"id":' + value + b',"params":{}}') is DropReason.BAD_ID


def test_a_legacy_request_reports_and_asks_at_once() -> None:
    """Old clients publish their version and expect the push on the same topic."""
    assert parse(REQUEST, b'{"id":3,"params":{"version":"1.0"}}') == LegacyRequest(PK, DN, 3, "1.0")


def test_our_own_answer_on_the_legacy_topic_is_an_echo() -> None:
    """It comes back because the topic is used both ways; it says nothing of the device."""
    file = NoticeFile("app.bin", 10, "http://h/d", "0" * 32)
    assert parse(REQUEST, push(Notice("2.0", "MD5", (file,)), 1)) == Echo(PK, DN)


@pytest.mark.parametrize(
    "body", [BLOCK, BLOCK.replace(b'"fileId":1}', b'"fileId":1,}'), BLOCK + b"\0", BLOCK.replace(b"1}", b'"1"}')]
)
def test_a_block_request_of_the_c_sdk_is_understood(body: bytes) -> None:
    """The vendor's C SDK really sends a comma before the closing brace."""
    assert parse(DOWNLOAD, body) == FileDownload(PK, DN, "1", 27367, 1, 0, 5120, "default")


@pytest.mark.parametrize(
    ("old", "new"), [(b"5120", b"0"), (b"5120", b"131073"), (b":0}", b":-1}"), (b"27367", b'"x"'), (b"27367", b"1.5")]
)
def test_an_absurd_block_is_dropped(old: bytes, new: bytes) -> None:
    """Nothing, too much, or from before the start."""
    assert reason_of(DOWNLOAD, BLOCK.replace(old, new)) is DropReason.BAD_BLOCK


@pytest.mark.parametrize(
    "params", [b"[]", b'{"fileInfo":1,"fileBlock":{}}', b'{"fileInfo":{},"fileBlock":{},"fileToken":1}']
)
def test_a_block_request_without_its_parts_is_dropped(params: bytes) -> None:
    """There is nothing to answer."""
    assert reason_of(DOWNLOAD, b'{"params":' + params + b"}") is DropReason.BAD_PARAMS


def test_a_comma_inside_a_text_is_not_touched() -> None:
    """Only what stands before a closing bracket goes."""
    message = parse(INFORM, rb'{"params":{"version":"a\",}b",},}')
    assert message == VersionReport(PK, DN, "default", 'a",}b')


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (INFORM, b"", DropReason.BAD_JSON),
        (INFORM, b"\xff\xfe{", DropReason.BAD_JSON),
        (INFORM, b"[" * 5000, DropReason.BAD_JSON),
        (INFORM, b'"text"', DropReason.BAD_JSON),
        (INFORM, b"{" + b" " * MAX_PAYLOAD_BYTES + b"}", DropReason.TOO_BIG),
        (INFORM, b"{}", DropReason.BAD_PARAMS),
        (INFORM, b'{"params":{}}', DropReason.BAD_VERSION),
        (INFORM, b'{"params":{"version":2}}', DropReason.BAD_VERSION),
        (INFORM, b'{"params":{"version":""}}', DropReason.BAD_VERSION),
        (INFORM, b'{"params":{"version":"a\\u0000"}}', DropReason.BAD_VERSION),
        (INFORM, b'{"params":{"version":"' + b"1" * 65 + b'"}}', DropReason.BAD_VERSION),
        (INFORM, b'{"params":{"version":"1","module":"a b"}}', DropReason.BAD_MODULE),
        (INFORM, b'{"params":{"version":"1","module":7}}', DropReason.BAD_MODULE),
        (PULL, b'{"params":[1]}', DropReason.BAD_PARAMS),
        ("/ota/device/inform/a1/x", b"{}", DropReason.UNKNOWN_TOPIC),
        (f"/ota/device/upgrade/{PK}/{DN}", b"{}", DropReason.UNKNOWN_TOPIC),
        (INFORM + "\0", b"{}", DropReason.UNKNOWN_TOPIC),
        ("", b"", DropReason.UNKNOWN_TOPIC),
    ],
)
def test_what_is_malformed_is_dropped_with_its_reason(topic: str, payload: bytes, reason: DropReason) -> None:
    """Counted by reason and shown to the operator (rules.md §5)."""
    assert reason_of(topic, payload) is reason


def test_a_dropped_message_names_its_device() -> None:
    """So that it can be shown on the device's page."""
    assert parse(INFORM, b"{}") == Dropped(DropReason.BAD_PARAMS, PK, DN, "")


@pytest.mark.parametrize("event", ["connected", "disconnected"])
def test_a_presence_event_comes_back_as_it_was_written(event: str) -> None:
    """The broker writes it, the gateway reads it."""
    is_connect = event == "connected"
    payload = encode_presence(is_connect=is_connect, session="s1", address="1.2.3.4", at=1700000000000)
    expected = Presence(PK, DN, is_connect, "s1", "1.2.3.4", 1700000000000)
    assert parse(PRESENCE, payload) == expected
    assert parse_presence(payload, PK, DN) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"[",
        b'{"event":"gone","session":"s","address":"a","at":1}',
        b'{"event":"connected","session":"s","address":"a"}',
        b'{"event":"connected","session":7,"address":"a","at":1}',
        b'{"event":"connected","session":"s","address":"a\\u0000","at":1}',
    ],
)
def test_a_strange_presence_event_is_dropped(body: bytes) -> None:
    """Other brokers' webhooks are strangers too."""
    assert isinstance(parse_presence(body, PK, DN), Dropped)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["params", "version", "step", "id", "data"]), inner)
    ),
    max_leaves=12,
)
TOPICS = st.sampled_from([INFORM, PROGRESS, REQUEST, PULL, DOWNLOAD, PRESENCE])


@given(topic=TOPICS | st.text(max_size=60), payload=st.binary(max_size=200))
def test_no_bytes_on_any_topic_raise(topic: str, payload: bytes) -> None:
    """The gateway must not fall over a device."""
    parse(topic, payload)


KEYS = (
    "id",
    "version",
    "module",
    "step",
    "desc",
    "fileInfo",
    "fileBlock",
    "fileToken",
    "streamId",
    "fileId",
    "size",
    "offset",
)
BODY = st.fixed_dictionaries(
    {}, optional={"id": JSON, "params": st.dictionaries(st.sampled_from(KEYS), JSON), "event": JSON, "at": JSON}
)


@given(topic=TOPICS, body=BODY)
def test_no_json_of_strange_types_raises(topic: str, body: dict[str, object]) -> None:
    """Right keys with values of any type."""
    try:
        payload = orjson.dumps(body)
    except TypeError:
        payload = repr(body).encode(errors="replace")
    parse(topic, payload)


def test_every_kind_of_topic_has_a_parser() -> None:
    """A kind without a parser would raise."""
    by_kind = dict(zip(TopicKind, (INFORM, PROGRESS, REQUEST, PULL, DOWNLOAD, PRESENCE), strict=True))
    assert all(parse(topic, b"{") for topic in by_kind.values())
