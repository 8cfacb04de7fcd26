"""Range, If-Range and If-None-Match: which bytes of a file a request gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages_app.ranges import Span, Unsatisfiable, is_range_current, is_unchanged, requested_span

ETAG = '"abc"'
sizes = st.integers(1, 2**40)


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-", Span(0, 100)),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=10-19", Span(10, 10)),
        ("bytes=90-1000", Span(90, 10)),
        ("bytes=-1", Span(99, 1)),
        ("bytes=-1000", Span(0, 100)),
        ("Bytes = 5-6", Span(5, 2)),
    ],
)
def test_a_single_range_is_honoured(header: str, span: Span) -> None:
    assert requested_span(header, 100) == span


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=9999999999999999999-"])
def test_a_range_behind_the_end_is_unsatisfiable(header: str) -> None:
    assert isinstance(requested_span(header, 100), Unsatisfiable)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-4",
        "bytes=a-b",
        "bytes=0-1,5-6",
        "items=0-1",
        "bytes=0-1x",
        "bytes=٠-٣",
    ],
)
def test_no_malformed_or_several_ranges_mean_the_whole_file(header: str | None) -> None:
    assert requested_span(header, 100) is None


@given(sizes, st.integers(0, 2**41), st.integers(0, 2**41))
def test_a_span_never_leaves_the_file(size: int, first: int, last: int) -> None:
    span = requested_span(f"bytes={first}-{last}", size)
    if isinstance(span, Span):
        assert 0 <= span.start <= span.last < size
        assert span.start == first


@given(sizes, st.text())
def test_any_header_is_answered(size: int, header: str) -> None:
    requested_span(header, size)


@given(st.binary(min_size=1, max_size=300), st.integers(1, 7))
def test_blocks_put_together_are_the_file(content: bytes, block: int) -> None:
    received = b""
    while len(received) < len(content):
        span = requested_span(f"bytes={len(received)}-{len(received) + block - 1}", len(content))
        assert isinstance(span, Span)
        received += content[span.start : span.start + span.length]
    assert received == content


@pytest.mark.parametrize(
    ("if_range", "is_current"),
    [
        (None, True),
        (ETAG, True),
        (f" {ETAG} ", True),
        ('"other"', False),
        (f"W/{ETAG}", False),
        ("Fri, 20 Nov 2026 08:00:00 GMT", False),
    ],
)
def test_a_range_counts_only_for_the_same_file(if_range: str | None, *, is_current: bool) -> None:
    assert is_range_current(if_range, ETAG) is is_current


@pytest.mark.parametrize(
    ("if_none_match", "is_same"),
    [
        (None, False),
        (ETAG, True),
        ("*", True),
        (f"W/{ETAG}", True),
        (f'"x", {ETAG}', True),
        ('"x"', False),
        ("abc", False),
    ],
)
def test_a_client_that_has_the_file_is_told_so(if_none_match: str | None, *, is_same: bool) -> None:
    assert is_unchanged(if_none_match, ETAG) is is_same
