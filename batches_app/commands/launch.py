"""Launch a batch: check every rule, write the batch's row, answer at once; the tasks are written by `engine.launch` in slices.

The request may count devices but never writes a row per device.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from batches_app.domain.pacing import Rate
from batches_app.models import Batch
from ota_console.audit.actor import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """Everything a person or program may say about a new batch (vendor reference §2.1 … §2.7). Ids are public ids.

    Verify batches take `device_names` (1 … 10), `timeout_minutes`, `needs_push`, `needs_confirm`, `download_protocol`, `tags`.
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
    """SPECIFIC: a list made by `device_lists.create_device_list`, instead of `device_names`."""
    group: str | None = None
    """GROUP: a static group; dynamic batches: a dynamic group instead of source versions."""
    source_versions: tuple[str, ...] = ()
    gray_percent: Decimal | None = None
    dynamic_mode: int = 1
    # policy
    schedule_at: datetime | None = None
    finish_at: datetime | None = None
    rate_kind: Batch.RateKind = Batch.RateKind.CONSTANT
    rate: Rate = Rate(None)
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
    """Of the reviewed `scope.ScopeCounts`; where the fleet differs now, the launch asks to review again. Empty: no check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """The batch exists; its tasks are being written."""

    batch_id: int
    public_id: str


def launch_batch(*, request: LaunchRequest, actor: Actor, now: datetime) -> Launched:
    """Create a verify, static or dynamic batch and start writing its tasks (rules.md §3, §4).

    Raises `NotFound` for an unknown package; `Invalid` with `errors` per field of `LaunchRequest` ("device_names", "rate" …;
    "" for the whole); `Conflict` with code `scope_changed` where `fingerprint` no longer holds, `package_not_launchable`
    where the package's status forbids it, and `dynamic_batch_running` where the package has a running dynamic batch.
    """
    raise NotImplementedError


def check_launch(*, request: LaunchRequest, now: datetime) -> dict[str, list[str]]:
    """The errors `launch_batch` would raise as `Invalid`, by field; empty where it would go through. For forms of several steps."""
    raise NotImplementedError
