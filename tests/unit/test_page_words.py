"""How pages write numbers, times, versions and states."""

from datetime import UTC, datetime, timedelta

import pytest

from ota_console.web.templatetags import figures, icons, states

NOW = datetime(2026, 3, 12, 3, 7, 42, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s ago"), (59, "59 s ago"), (60, "1 min ago"), (3599, "59 min ago"), (7200, "01:07")]
)
def test_a_time_near_now_is_told_by_its_distance_and_an_older_one_by_the_clock(seconds: int, words: str) -> None:
    """Below one hour relative, else 24 hours (design §7)."""
    assert figures.relative(NOW - timedelta(seconds=seconds), NOW) == words


def test_another_day_is_named() -> None:
    """A clock time alone would be taken for today's."""
    assert figures.relative(NOW - timedelta(days=1), NOW).startswith("11 Mar")


def test_the_exact_utc_time_stands_behind_every_relative_one() -> None:
    """On hover, and for programs."""
    html = figures.ago(NOW)
    assert 'title="12 Mar 2026 03:07:42 UTC"' in html
    assert 'datetime="2026-03-12T03:07:42+00:00"' in html


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (612_000, "612 KB"), (14_600_000, "14.6 MB"), (2e9, "2.0 GB")],
)
def test_sizes_are_decimal(count: int, text: str) -> None:
    """As download volumes are billed."""
    assert figures.filesize(int(count)) == text


def test_numbers_are_grouped_and_shares_have_one_decimal() -> None:
    """118,402 and 10.3 %."""
    assert (figures.grouped(118402), figures.grouped(None)) == ("118,402", "–")
    assert (figures.percent_of(103, 1000), figures.percent_of(0, 0)) == ("10.3 %", "0.0 %")


def test_a_long_id_keeps_both_its_ends() -> None:
    """Enough to tell two batches apart."""
    assert figures.short_id("wahVIzGkCMuAUE2gDERM02400") == "wahVIz…2400"


def test_a_scheduled_start_is_written_as_in_the_seed() -> None:
    """To Be Pushed (Scheduled: YYYY/MM/DD hh:mm:ss)."""
    assert figures.scheduled(NOW) == "2026/03/12 03:07:42"


def test_an_unknown_source_version_is_said_in_words() -> None:
    """An empty place would look like a mistake."""
    assert "unknown" in figures.version_step("", "4.12.0")


def test_the_seven_labels_are_those_of_the_seed() -> None:
    """Word for word, in its order."""
    labels = [str(look.label) for look in states.TASK.values()]
    assert labels == [
        "Pending Confirmation",
        "To Be Pushed",
        "Pushed",
        "Upgrading",
        "Updated",
        "Update failed",
        "Canceled",
    ]


def test_a_bar_says_all_its_counts_and_hides_empty_states() -> None:
    """The picture has the same words for who cannot see it; hidden parts may grow later."""
    html = states.bar({"all": 4, "SUCCEEDED": 3, "FAILED": 1})
    assert 'aria-label="Updated 3, Update failed 1"' in html
    assert 'data-seg="SUCCEEDED" width="75.000%"></svg>' in html
    assert 'data-seg="QUEUED" width="0.000%" hidden></svg>' in html
    assert "style" not in html


def test_a_state_is_an_icon_and_words_never_colour_alone() -> None:
    """Its detail stands beside the label."""
    html = states.state("task", "QUEUED", "(Device Offline)")
    assert "#i-clock" in html
    assert "To Be Pushed" in html
    assert "(Device Offline)" in html


def test_every_icon_of_a_state_is_in_the_sprite() -> None:
    """A missing drawing would be an empty square."""
    for table in states.SETS.values():
        for look in table.values():
            assert icons.icon(look.icon)


def test_an_icon_that_the_sprite_lacks_is_a_mistake_at_once() -> None:
    """Not an empty square in production."""
    with pytest.raises(ValueError, match="not in the sprite"):
        icons.icon("no-such-icon")
