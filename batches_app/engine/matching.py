"""Dynamic batches: devices that reported, connected for the first time or became free get their task (rules.md §7).

Requests are rows that ingest and cancels queue; this carries them out beside it, set-based, a bounded number at a time.
Of several batches that want a device, the latest launched wins. A busy device waits: its lane queues it again when it
is free.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from django.db import transaction

from batches_app import scope as scopes
from batches_app.domain.states import BatchStatus
from batches_app.engine import eligibility
from batches_app.engine.launch import count_slice, make_slice, new_task, write_slice
from batches_app.models import Batch, MatchRequest
from batches_app.scope import Window
from batches_app.sql import launch as sql
from batches_app.sql import matching as match_sql

AT_ONCE: Final = 1_000
"""Requests in one step."""


class Taken(NamedTuple):
    """The devices that one batch wants, and whether it could look at them now."""

    devices: frozenset[int]
    is_done: bool


def match_once(*, now: datetime, limit: int = AT_ONCE) -> bool:
    """Carry out the oldest requests; whether there are more that can be carried out now."""
    requests = list(MatchRequest.objects.order_by("pk").values_list("pk", "device", "module", "requested_at")[:limit])
    by_module: defaultdict[int, list[int]] = defaultdict(list)
    for _, device, module, _ in requests:
        by_module[module].append(device)
    waiting = {
        (device, module) for module, devices in by_module.items() for device in _match_module(module, devices, now)
    }
    done = [(pk, at) for pk, device, module, at in requests if (device, module) not in waiting]
    match_sql.delete_requests(done)
    return len(requests) == limit and bool(done)


def _match_module(module: int, devices: Sequence[int], now: datetime) -> set[int]:
    """Offer devices to the module's running dynamic batches, latest first; those that must wait for a cancel to end."""
    running = Batch.objects.select_related("package", "group").filter(
        module=module, selection=Batch.Selection.DYNAMIC, status=BatchStatus.IN_PROGRESS
    )
    left, waiting = set(devices), set[int]()
    for batch in running.order_by("-pk"):
        if not left:
            break
        taken = _offer(batch, sorted(left), now)
        left -= taken.devices
        if not taken.is_done:
            waiting |= taken.devices
    return waiting


def _offer(batch: Batch, devices: list[int], now: datetime) -> Taken:
    """Make tasks for those of the devices that the batch wants and that are free."""
    window = Window(devices[0] - 1, devices[-1])
    scope = eligibility.scope_for_match(batch)
    found = scopes.members(scope, window, scopes.only_devices(devices), *eligibility.is_wanted(batch))
    wanted = match_sql.devices_in(found.source, found.where)
    if not wanted:
        return Taken(frozenset(), is_done=True)
    part = make_slice(scope, window, scopes.only_devices(wanted), *eligibility.conditions(batch))
    task = new_task(batch, now)
    with transaction.atomic():
        matched_count = sql.lock_devices(part)
        state = sql.lock_batch(batch.pk)
        if state is None or state.status != BatchStatus.IN_PROGRESS:
            return Taken(frozenset(), is_done=True)
        if state.cancel_mask >> task.status & 1:
            return Taken(frozenset(wanted), is_done=False)
        match_no = eligibility.next_match_no(batch)
        written = write_slice(part, scope, task, match_no, matched_count, with_conflicts=False)
        if written.count or written.overwritten:
            count_slice(batch, written, now)
    return Taken(frozenset(wanted), is_done=True)
