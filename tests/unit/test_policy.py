"""Ranges and combinations of a batch's policy, each with its exact sentence."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from batches_app.domain import policy
from batches_app.domain.pacing import Rate

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
VARIABLE = Rate(1_000, 100, 2.0, 50)


def rate_errors(rate: Rate, *, is_variable: bool) -> dict[str, list[str]]:
    errors = policy.new_errors()
    policy.check_rate(errors, rate, is_variable=is_variable)
    return dict(errors)


@pytest.mark.parametrize("per_minute", [None, 1, 100_000])
def test_constant_rate_of_any_size_or_none(per_minute: int | None) -> None:
    """rules.md §4: N = 1 … 100,000, or empty for no limit."""
    assert rate_errors(Rate(per_minute), is_variable=False) == {}


@pytest.mark.parametrize("per_minute", [0, -5, 100_001])
def test_constant_rate_out_of_range(per_minute: int) -> None:
    """rules.md §4."""
    assert rate_errors(Rate(per_minute), is_variable=False) == {
        "rate_per_minute": ["Enter a rate of 1 to 100,000 devices per minute, or leave it empty."]
    }


def test_constant_rate_has_no_curve() -> None:
    """The type decides which values there are."""
    assert rate_errors(VARIABLE, is_variable=False) == {
        "rate_kind": ["A constant rate has no base rate, growth factor or steps. Choose a variable rate to use them."]
    }


@pytest.mark.parametrize("rate", [VARIABLE, Rate(100, 100, 1.1, None, 1), Rate(100_000, 1, 5, 10, 10)])
def test_variable_rate(rate: Rate) -> None:
    """Base up to the ceiling, a factor of 1.1 to 5, one step or both."""
    assert rate_errors(rate, is_variable=True) == {}


@pytest.mark.parametrize(
    ("rate", "field", "message"),
    [
        (VARIABLE._replace(per_minute=None), "rate_per_minute", "A variable rate needs a highest rate per minute."),
        (
            VARIABLE._replace(base_per_minute=None),
            "rate_base_per_minute",
            "Enter a base rate of 1 to 100,000 devices per minute.",
        ),
        (
            VARIABLE._replace(base_per_minute=1_001),
            "rate_base_per_minute",
            "The base rate must not be higher than the highest rate.",
        ),
        (VARIABLE._replace(factor=None), "rate_factor", "Enter a growth factor of 1.1 to 5."),
        (VARIABLE._replace(factor=1.0), "rate_factor", "Enter a growth factor of 1.1 to 5."),
        (VARIABLE._replace(factor=5.01), "rate_factor", "Enter a growth factor of 1.1 to 5."),
        (VARIABLE._replace(factor=1.234), "rate_factor", "Enter the growth factor with at most two decimals."),
        (
            VARIABLE._replace(notified_step=None),
            "rate_notified_step",
            "Enter after how many notified devices, or after how many updated devices, the rate grows.",
        ),
        (VARIABLE._replace(notified_step=0), "rate_notified_step", "Enter a number of devices of at least 1."),
        (VARIABLE._replace(succeeded_step=-1), "rate_succeeded_step", "Enter a number of devices of at least 1."),
    ],
)
def test_variable_rate_mistake(rate: Rate, field: str, message: str) -> None:
    """Vendor reference §2.7."""
    assert rate_errors(rate, is_variable=True) == {field: [message]}


def tag_errors(*tags: tuple[str, str]) -> list[str]:
    errors = policy.new_errors()
    policy.check_tags(errors, tags)
    return errors.get("tags", [])


def test_tags_within_their_limits() -> None:
    """Vendor reference §2.5: ten pairs, keys of letters, digits and periods, 4,096 characters in all."""
    assert tag_errors(*((f"key.{n}", "v" * 400) for n in range(10))) == []


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([(f"k{n}", "v") for n in range(11)], "A batch has at most 10 tags."),
        ([("wave_3", "v")], "A tag key has 1 to 30 characters: letters, digits and periods."),
        ([("_package_udi", "v")], "A tag key has 1 to 30 characters: letters, digits and periods."),
        ([("", "v")], "A tag key has 1 to 30 characters: letters, digits and periods."),
        ([("k" * 31, "v")], "A tag key has 1 to 30 characters: letters, digits and periods."),
        ([("k", "")], "A tag value has 1 to 1,024 characters."),
        ([("k", "v" * 1_025)], "A tag value has 1 to 1,024 characters."),
        ([("k", "a"), ("k", "b")], "Each tag key may be used only once."),
        (
            [(f"k{n}", "v" * 1_024) for n in range(4)],
            "All tag keys and values together have at most 4,096 characters.",
        ),
    ],
)
def test_tag_mistake(tags: list[tuple[str, str]], message: str) -> None:
    """Vendor reference §2.5."""
    assert tag_errors(*tags) == [message]


def retry_errors(
    interval: int | None, count: int | None, timeout: int | None = None, *, versions: bool = True
) -> dict[str, list[str]]:
    errors = policy.new_errors()
    policy.check_retry(
        errors, interval_minutes=interval, count=count, timeout_minutes=timeout, has_source_versions=versions
    )
    return dict(errors)


@pytest.mark.parametrize(
    ("interval", "count", "timeout"), [(None, None, None), (0, 1, 60), (30, 2, 60), (60, 5, 1440), (1440, 1, None)]
)
def test_retry(interval: int | None, count: int | None, timeout: int | None) -> None:
    """Vendor reference §2.2: fixed choices, shorter than the time-out; 1,440 only without one."""
    assert retry_errors(interval, count, timeout) == {}


@pytest.mark.parametrize(
    ("interval", "count", "timeout", "field", "message"),
    [
        (5, 1, None, "retry_interval_minutes", "Choose to retry immediately, or after 10, 30, 60 or 1,440 minutes."),
        (60, 1, 60, "retry_interval_minutes", "The retry interval must be shorter than the time-out."),
        (1440, 1, 1440, "retry_interval_minutes", "The retry interval must be shorter than the time-out."),
        (10, 3, None, "retry_count", "Choose 1, 2 or 5 retries."),
        (10, None, None, "retry_count", "Choose 1, 2 or 5 retries."),
        (None, 1, None, "retry_interval_minutes", "Choose to retry immediately, or after 10, 30, 60 or 1,440 minutes."),
    ],
)
def test_retry_mistake(interval: int | None, count: int | None, timeout: int | None, field: str, message: str) -> None:
    """Vendor reference §2.2."""
    assert retry_errors(interval, count, timeout) == {field: [message]}


def test_retry_needs_source_versions() -> None:
    """The seed: retries come only with a version to update."""
    assert retry_errors(10, 1, versions=False) == {
        "retry_interval_minutes": ["Retries need versions to be updated. Choose source versions, or choose no retry."]
    }


@pytest.mark.parametrize(
    ("timeout", "notify", "field"),
    [(0, None, "timeout_minutes"), (1441, None, "timeout_minutes"), (None, 0, "notify_timeout_minutes")],
)
def test_timeout_out_of_range(timeout: int | None, notify: int | None, field: str) -> None:
    """Vendor reference §2.2; rules.md §2."""
    errors = policy.new_errors()
    policy.check_timeouts(errors, timeout_minutes=timeout, notify_timeout_minutes=notify)
    assert list(errors) == [field]


@pytest.mark.parametrize(
    ("start_minutes", "finish_minutes", "fields"),
    [
        (None, None, []),
        (5, 5 + 60, []),
        (7 * 24 * 60, None, []),
        (None, 60, []),
        (5, 5 + 30 * 24 * 60, []),
        (4, None, ["schedule_at"]),
        (7 * 24 * 60 + 1, None, ["schedule_at"]),
        (None, 59, ["finish_at"]),
        (10, 69, ["finish_at"]),
        (10, 11 + 30 * 24 * 60, ["finish_at"]),
    ],
)
def test_schedule(start_minutes: int | None, finish_minutes: int | None, fields: list[str]) -> None:
    """Vendor reference §2.2: start 5 minutes to 7 days from now, finish 1 hour to 30 days after the start."""
    errors = policy.new_errors()
    policy.check_schedule(
        errors,
        schedule_at=None if start_minutes is None else NOW + timedelta(minutes=start_minutes),
        finish_at=None if finish_minutes is None else NOW + timedelta(minutes=finish_minutes),
        now=NOW,
    )
    assert list(errors) == fields


@pytest.mark.parametrize(
    ("versions", "limit", "message"),
    [
        ([f"1.{n}" for n in range(11)], 10, "Choose at most 10 source versions."),
        ([f"1.{n}" for n in range(31)], 30, "Choose at most 30 source versions."),
        (["1.0", "1.0"], 10, "Each source version may be chosen only once."),
        (["1 0"], 10, "A version has 1 to 64 characters: letters, digits, periods, hyphens and underscores."),
        (["2.0"], 10, "The destination version of the package cannot be a source version."),
    ],
)
def test_source_version_mistake(versions: list[str], limit: int, message: str) -> None:
    """Vendor reference §2.2, §2.4; rules.md §4."""
    errors = policy.new_errors()
    policy.check_source_versions(errors, versions, target_version="2.0", limit=limit)
    assert errors == {"source_versions": [message]}


@pytest.mark.parametrize("percent", ["0.001", "33.333", "100"])
def test_gray_percent(percent: str) -> None:
    """Vendor reference §2.2: at most three decimals."""
    errors = policy.new_errors()
    policy.check_gray_percent(errors, Decimal(percent))
    assert not errors


@pytest.mark.parametrize(
    ("percent", "message"),
    [
        (None, "Enter a percentage above 0 and up to 100."),
        (Decimal(0), "Enter a percentage above 0 and up to 100."),
        (Decimal("100.001"), "Enter a percentage above 0 and up to 100."),
        (Decimal("NaN"), "Enter a percentage above 0 and up to 100."),
        (Decimal("33.3333"), "Enter the percentage with at most three decimals."),
    ],
)
def test_gray_percent_mistake(percent: Decimal | None, message: str) -> None:
    """Vendor reference §2.2."""
    errors = policy.new_errors()
    policy.check_gray_percent(errors, percent)
    assert errors == {"gray_percent": [message]}


def test_title_has_an_end() -> None:
    """It stands in lists and headings."""
    errors = policy.new_errors()
    policy.check_title(errors, "t" * 101)
    assert errors == {"title": ["A title has at most 100 characters."]}
