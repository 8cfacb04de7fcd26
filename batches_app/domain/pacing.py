"""The pace of pushes: how many may leave now, and what the rate is. Pure arithmetic; must not do I/O.

Generic cell rate algorithm with one fact, `next_slot_at`, kept on the batch's row and moved under its lock. A push
that got a slot in (x − tick − deadline, x + 60) is the only kind that can leave in [x, x + 60): with `step = (60 +
tick + deadline) / N` there are at most N of them, whatever the number of workers and crashes (rules.md §4).
"""

import math
from datetime import datetime, timedelta
from typing import Final, NamedTuple

TICK_SECONDS: Final = 0.25
"""How often a worker looks for due tasks; unused slots older than this are lost, never made up."""
PUBLISH_DEADLINE_SECONDS: Final = 0.25
"""A slot not used within this time after the claim is given back."""
UNLIMITED_GRANT: Final = 1_000
"""One chunk of an unlimited batch: what a claim costs once is spread over so many, and a crash loses no more."""


class Rate(NamedTuple):
    """The update package push rate of a batch. Constant: `base`, `factor` and steps are None."""

    per_minute: int | None
    """Constant: the rate, None for no limit. Variable: the ceiling."""
    base_per_minute: int | None = None
    factor: float | None = None
    notified_step: int | None = None
    succeeded_step: int | None = None


class Grant(NamedTuple):
    """Slots that may be claimed now: `slot_count` of them, the first at `start`."""

    slot_count: int
    start: datetime


def rate_now(rate: Rate, *, notified_count: int, succeeded_count: int) -> int | None:
    """Devices per minute at these counts; None: no limit. A pure function, so an edit recomputes it (rules.md §4).

    A variable rate starts at the base and is multiplied by the factor each time the number of notified, or of
    succeeded, devices passes another step; where both steps are given, the one that is further along counts.
    """
    if rate.base_per_minute is None or rate.factor is None or rate.per_minute is None:
        return rate.per_minute
    growths = max(
        notified_count // rate.notified_step if rate.notified_step else 0,
        succeeded_count // rate.succeeded_step if rate.succeeded_step else 0,
    )
    if growths * math.log(rate.factor) >= math.log(rate.per_minute / rate.base_per_minute):
        return rate.per_minute
    return min(rate.per_minute, math.floor(rate.base_per_minute * rate.factor**growths))


def step_seconds(per_minute: int) -> float:
    """The distance of two slots in seconds."""
    return (60 + TICK_SECONDS + PUBLISH_DEADLINE_SECONDS) / per_minute * (1 + 1e-9)


def grant(*, next_slot_at: datetime | None, now: datetime, per_minute: int | None, limit: int) -> Grant:
    """How many slots are open at `now` (read after the batch's row was locked), at most `limit`."""
    if per_minute is None:
        return Grant(limit, now)
    oldest = now - timedelta(seconds=TICK_SECONDS)
    start = oldest if next_slot_at is None else max(next_slot_at, oldest)
    if start > now:
        return Grant(0, start)
    open_slots = math.floor((now - start).total_seconds() / step_seconds(per_minute)) + 1
    return Grant(min(open_slots, limit), start)


def advance(start: datetime, *, claimed: int, per_minute: int) -> datetime:
    """The next open slot after `claimed` slots from `start`, rounded up so that the pace is never exceeded."""
    microseconds = math.ceil(claimed * step_seconds(per_minute) * 1_000_000)
    return start + timedelta(microseconds=microseconds)
