"""What a batch may ask for: ranges and combinations of its policy, with the exact sentence for each mistake.

Pure: plain values in, messages by field out. Must not look at the database; what needs it is checked by the commands.
Source: vendor reference §2.1 … §2.7, rules.md §4. Messages are English and marked for translation where they are shown.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from batches_app.domain.pacing import Rate
from batches_app.domain.texts import gettext_noop

Errors = defaultdict[str, list[str]]
"""Messages by field name."""

MAX_RATE: Final = 100_000
"""Devices per minute (rules.md §4)."""
FACTOR_RANGE: Final = (1.1, 5.0)
MAX_STEP: Final = 1_000_000_000
"""Beyond any fleet; fits an integer column."""
TIMEOUT_RANGE: Final = (1, 1440)
NOTIFY_TIMEOUT_RANGE: Final = (1, 43_200)
"""One minute to thirty days of online time."""
RETRY_INTERVALS: Final = (0, 10, 30, 60, 1440)
RETRY_COUNTS: Final = (1, 2, 5)
SCHEDULE_RANGE: Final = (timedelta(minutes=5), timedelta(days=7))
DURATION_RANGE: Final = (timedelta(hours=1), timedelta(days=30))
MAX_SOURCE_VERSIONS: Final = 10
MAX_SOURCE_VERSIONS_IN_EDIT: Final = 30
"""Vendor reference §2.4: an edit may list more than a launch."""
MAX_TAGS: Final = 10
MAX_TAGS_LENGTH: Final = 4096
MAX_TAG_VALUE_LENGTH: Final = 1024
MAX_TITLE_LENGTH: Final = 100
WHOLE: Final = 100
"""Per cent."""
MAX_VERIFY_DEVICES: Final = 10
MAX_NAMES_IN_REQUEST: Final = 200
"""More devices than this go through a device list."""
MAX_MQTT_BYTES: Final = 16 * 1024 * 1024
"""The largest file that devices can download over MQTT (vendor reference §1.3)."""

_VERSION: Final = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_TAG_KEY: Final = re.compile(r"[A-Za-z0-9.]{1,30}\Z")


def new_errors() -> Errors:
    """No mistakes yet."""
    return defaultdict(list)


def check_rate(errors: Errors, rate: Rate, *, is_variable: bool) -> None:
    """Update package push rate (vendor reference §2.7; rules.md §4). Fields carry the names of the batch's columns."""
    if rate.per_minute is not None and not 1 <= rate.per_minute <= MAX_RATE:
        errors["rate_per_minute"].append(
            gettext_noop("Enter a rate of 1 to 100,000 devices per minute, or leave it empty.")
        )
    if is_variable:
        _check_variable_rate(errors, rate)
    elif (rate.base_per_minute, rate.factor, rate.notified_step, rate.succeeded_step) != (None, None, None, None):
        errors["rate_kind"].append(
            gettext_noop(
                "A constant rate has no base rate, growth factor or steps. Choose a variable rate to use them."
            )
        )


def _check_variable_rate(errors: Errors, rate: Rate) -> None:
    low, high = FACTOR_RANGE
    if rate.per_minute is None:
        errors["rate_per_minute"].append(gettext_noop("A variable rate needs a highest rate per minute."))
    if rate.base_per_minute is None or not 1 <= rate.base_per_minute <= MAX_RATE:
        errors["rate_base_per_minute"].append(gettext_noop("Enter a base rate of 1 to 100,000 devices per minute."))
    elif rate.per_minute is not None and rate.base_per_minute > rate.per_minute:
        errors["rate_base_per_minute"].append(gettext_noop("The base rate must not be higher than the highest rate."))
    if rate.factor is None or not low <= rate.factor <= high:
        errors["rate_factor"].append(gettext_noop("Enter a growth factor of 1.1 to 5."))
    elif round(rate.factor, 2) != rate.factor:
        errors["rate_factor"].append(gettext_noop("Enter the growth factor with at most two decimals."))
    _check_steps(errors, rate)


def _check_steps(errors: Errors, rate: Rate) -> None:
    if rate.notified_step is None and rate.succeeded_step is None:
        errors["rate_notified_step"].append(
            gettext_noop("Enter after how many notified devices, or after how many updated devices, the rate grows.")
        )
    for field, step in (("rate_notified_step", rate.notified_step), ("rate_succeeded_step", rate.succeeded_step)):
        if step is not None and not 1 <= step <= MAX_STEP:
            errors[field].append(gettext_noop("Enter a number of devices of at least 1."))


def check_tags(errors: Errors, tags: Sequence[tuple[str, str]]) -> None:
    """At most ten pairs, 4,096 characters in all (vendor reference §2.5)."""
    messages = errors["tags"]
    if len(tags) > MAX_TAGS:
        messages.append(gettext_noop("A batch has at most 10 tags."))
    if any(not _TAG_KEY.match(key) for key, _ in tags):
        messages.append(gettext_noop("A tag key has 1 to 30 characters: letters, digits and periods."))
    if any(not 1 <= len(value) <= MAX_TAG_VALUE_LENGTH for _, value in tags):
        messages.append(gettext_noop("A tag value has 1 to 1,024 characters."))
    if len({key for key, _ in tags}) < len(tags):
        messages.append(gettext_noop("Each tag key may be used only once."))
    if sum(len(key) + len(value) for key, value in tags) > MAX_TAGS_LENGTH:
        messages.append(gettext_noop("All tag keys and values together have at most 4,096 characters."))
    if not messages:
        del errors["tags"]


def check_timeouts(errors: Errors, *, timeout_minutes: int | None, notify_timeout_minutes: int | None) -> None:
    """Device upgrade time-out (vendor reference §3.5) and our NOT_ACKNOWLEDGED (rules.md §2)."""
    low, high = TIMEOUT_RANGE
    if timeout_minutes is not None and not low <= timeout_minutes <= high:
        errors["timeout_minutes"].append(
            gettext_noop("Enter a time-out of 1 to 1,440 minutes, or leave it empty for none.")
        )
    low, high = NOTIFY_TIMEOUT_RANGE
    if notify_timeout_minutes is not None and not low <= notify_timeout_minutes <= high:
        errors["notify_timeout_minutes"].append(
            gettext_noop("Enter a notification time-out of 1 to 43,200 minutes, or leave it empty for none.")
        )


def check_retry(
    errors: Errors,
    *,
    interval_minutes: int | None,
    count: int | None,
    timeout_minutes: int | None,
    has_source_versions: bool,
) -> None:
    """Automatic retry: fixed choices, shorter than the time-out, only with versions to be updated (seed.

    Vendor §2.2).
    """
    if interval_minutes is None and count is None:
        return
    if interval_minutes not in RETRY_INTERVALS:
        errors["retry_interval_minutes"].append(
            gettext_noop("Choose to retry immediately, or after 10, 30, 60 or 1,440 minutes.")
        )
    elif timeout_minutes is not None and interval_minutes >= timeout_minutes:
        errors["retry_interval_minutes"].append(gettext_noop("The retry interval must be shorter than the time-out."))
    if count not in RETRY_COUNTS:
        errors["retry_count"].append(gettext_noop("Choose 1, 2 or 5 retries."))
    if not has_source_versions:
        errors["retry_interval_minutes"].append(
            gettext_noop("Retries need versions to be updated. Choose source versions, or choose no retry.")
        )


def check_schedule(errors: Errors, *, schedule_at: datetime | None, finish_at: datetime | None, now: datetime) -> None:
    """Start 5 minutes to 7 days from now; finish 1 hour to 30 days after the start (vendor reference §2.2)."""
    if schedule_at is not None and not now + SCHEDULE_RANGE[0] <= schedule_at <= now + SCHEDULE_RANGE[1]:
        errors["schedule_at"].append(gettext_noop("The update must start 5 minutes to 7 days from now."))
    start = schedule_at or now
    if finish_at is not None and not start + DURATION_RANGE[0] <= finish_at <= start + DURATION_RANGE[1]:
        errors["finish_at"].append(gettext_noop("The update must finish 1 hour to 30 days after its start."))


def check_source_versions(errors: Errors, versions: Sequence[str], *, target_version: str, limit: int) -> None:
    """Versions to be updated: a few, each once, never the target (rules.md §4)."""
    messages = errors["source_versions"]
    if len(versions) > limit:
        many = gettext_noop("Choose at most 30 source versions.")
        messages.append(gettext_noop("Choose at most 10 source versions.") if limit == MAX_SOURCE_VERSIONS else many)
    if len(set(versions)) < len(versions):
        messages.append(gettext_noop("Each source version may be chosen only once."))
    if any(not _VERSION.match(version) for version in versions):
        messages.append(
            gettext_noop("A version has 1 to 64 characters: letters, digits, periods, hyphens and underscores.")
        )
    if target_version in versions:
        messages.append(gettext_noop("The destination version of the package cannot be a source version."))
    if not messages:
        del errors["source_versions"]


def check_gray_percent(errors: Errors, percent: Decimal | None) -> None:
    """A share above 0 and up to 100, at most three decimals (vendor reference §2.2)."""
    if percent is None or not percent.is_finite() or not 0 < percent <= WHOLE:
        errors["gray_percent"].append(gettext_noop("Enter a percentage above 0 and up to 100."))
    elif percent != percent.quantize(Decimal("0.001")):
        errors["gray_percent"].append(gettext_noop("Enter the percentage with at most three decimals."))


def check_title(errors: Errors, title: str) -> None:
    """An optional title."""
    if len(title) > MAX_TITLE_LENGTH:
        errors["title"].append(gettext_noop("A title has at most 100 characters."))


def gray_count(eligible_count: int, percent: Decimal) -> int:
    """How many of `eligible_count` devices a gray update takes: floor(n × percent / 100), at least 1 (rules.md §4)."""
    if eligible_count == 0:
        return 0
    return max(1, int(eligible_count * percent / 100))
