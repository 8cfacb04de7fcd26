"""Device names out of CSV and TXT files as people make them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches_app.domain.name_lists import SENTENCES, Bad, read_lines

names = st.text(alphabet="ABCabc012-_@.:", min_size=4, max_size=32)


def read(text: str) -> list[tuple[int, str]]:
    return [(line.number, line.name) for line in read_lines(text)]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_any_line_ends(ends: str) -> None:
    """Files of all systems are read alike."""
    assert read(f"meter-1{ends}meter-2{ends}") == [(1, "meter-1"), (2, "meter-2")]


def test_byte_order_mark_quotes_and_further_columns_are_dropped() -> None:
    """What spreadsheets add to a column of names."""
    assert read('\ufeff"meter-1","red"\n\'meter-2\'\nmeter-3;blue\n meter-4\tx\n') == [
        (1, "meter-1"),
        (2, "meter-2"),
        (3, "meter-3"),
        (4, "meter-4"),
    ]


@pytest.mark.parametrize("header", ["DeviceName", "device_name", '"Device Name"', "设备名称", "name"])
def test_header_line_is_skipped(header: str) -> None:
    """The heading over the column is no device."""
    assert read(f"{header}\nmeter-1\n") == [(2, "meter-1")]


def test_heading_word_further_down_is_a_name() -> None:
    """Only the first line can be a header."""
    assert read("meter-1\nname\n") == [(1, "meter-1"), (2, "name")]


def test_blank_lines_do_not_count_as_names_but_keep_the_numbers() -> None:
    """The number is that of the line in the file, as an editor shows it."""
    assert read("\n\nmeter-1\n   \nmeter-2") == [(3, "meter-1"), (5, "meter-2")]


@pytest.mark.parametrize("bad", ["abc", "a" * 33, "me ter", "mètre", "a/b/c", "\x00\x00\x00\x00"])
def test_malformed_name_is_told(bad: str) -> None:
    """Vendor reference §1.1: 4 to 32 letters, digits and - _ @ . : only."""
    (line,) = read_lines(bad)
    assert not line.is_well_formed


def test_malformed_name_is_told_in_part_where_it_is_long() -> None:
    """A file of one endless line must not come back as one."""
    (line,) = read_lines("x" * 10_000)
    assert len(line.name) == 64


@given(st.lists(names, max_size=50))
def test_every_well_formed_name_comes_back(wanted: list[str]) -> None:
    """One line each, in order; a comment line on top keeps the first from being a header."""
    found = [line.name for line in read_lines("\n".join(["first-line", *wanted])) if line.is_well_formed]
    assert found == ["first-line", *wanted]


@given(st.text(max_size=500))
def test_any_text_is_read_without_an_error(text: str) -> None:
    """Whatever a person uploads, each line is counted at most once and in order."""
    numbers = [line.number for line in read_lines(text)]
    assert numbers == sorted(set(numbers))


def test_every_reason_has_a_sentence() -> None:
    """A line that is left out is explained."""
    assert all(SENTENCES[why].endswith(".") or why is Bad.MALFORMED for why in Bad)
