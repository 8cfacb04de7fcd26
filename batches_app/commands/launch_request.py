"""What a person or program may say about a new batch, and nothing else: values for `commands.launch`."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from batches_app.domain.pacing import Rate
from batches_app.models import Batch

UNLIMITED: Final = Rate(per_minute=None)
"""Push as fast as the broker takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """Everything that a launch may set (vendor reference §2.1 … §2.7). Ids are public ids.

    Verify batches take `title`, `device_names` (1 … 10), `timeout_minutes`, `notify_timeout_minutes`, `needs_push`,
    `needs_confirm`, `download_protocol` and `tags`.
    """

    package: str
    kind: Batch.Kind = Batch.Kind.UPDATE
    title: str = ""
    # scope
    selection: Batch.Selection = Batch.Selection.STATIC
    target: Batch.Target = Batch.Target.ALL
    device_names: tuple[str, ...] = ()
    """SPECIFIC and verify: names ticked or typed, at most 200."""
    device_list: str | None = None
    """SPECIFIC: a list made by `device_lists`, instead of `device_names`."""
    group: str | None = None
    """GROUP: a static group; dynamic batches: a dynamic group instead of source versions."""
    source_versions: tuple[str, ...] = ()
    gray_percent: Decimal | None = None
    dynamic_mode: int = 1
    """1: current and later matches; 2: only devices that report a new version afterwards."""
    # policy
    schedule_at: datetime | None = None
    finish_at: datetime | None = None
    rate_kind: Batch.RateKind = Batch.RateKind.CONSTANT
    rate: Rate = UNLIMITED
    """Mistakes stand under the names of the batch's columns.

    `rate_per_minute`, `rate_base_per_minute`, `rate_factor` …
    """
    retry_interval_minutes: int | None = None
    retry_count: int | None = None
    timeout_minutes: int | None = None
    notify_timeout_minutes: int | None = None
    busy_policy: Batch.BusyPolicy = Batch.BusyPolicy.FAIL
    is_multi_module: bool = False
    needs_push: bool = True
    needs_confirm: bool = False
    download_protocol: Batch.Protocol = Batch.Protocol.HTTPS
    tags: tuple[tuple[str, str], ...] = ()
    # review
    fingerprint: str = ""
    """Of the reviewed `scope.ScopeCounts`; where others match now or more are busy, the launch asks to review again.

    Empty: no check.
    """
