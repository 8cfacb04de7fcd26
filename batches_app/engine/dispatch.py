"""The push loop: claim due tasks at the batch's pace, publish, record what the broker acknowledged.

A claim is a lease with a number: written before anything is published, so that a crash can at worst push again, never
lose. Rules live in `domain` (states, pacing); this module only drives. Must not know MQTT: it talks to the
`Publisher` port.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import structlog
from django.db import transaction

from batches_app.domain.pacing import (
    PUBLISH_DEADLINE_SECONDS,
    TICK_SECONDS,
    UNLIMITED_GRANT,
    Rate,
    advance,
    grant,
    rate_now,
)
from batches_app.domain.states import (
    LEASE,
    BatchStatus,
    Decision,
    Policy,
    PushDue,
    Reason,
    TaskFacts,
    TaskStatus,
    Verdict,
    decide,
    is_unfinished,
)
from batches_app.engine.notification import Notifications
from batches_app.engine.recorder import THREADS as RECORDER_THREADS
from batches_app.engine.recorder import Recorder
from batches_app.models import Batch, BatchCounts, Task
from batches_app.sql import dispatch as sql
from batches_app.transitions import Transitions, context_of
from devices_app.ports import Clock, Publisher, PublisherUnavailable, PushToken
from devices_app.protocol import topics
from ota_console.core.db import database_now, is_postgresql

MAX_UNRECORDED: Final = 3 * UNLIMITED_GRANT
"""Chunks in flight: enough to keep broker and database busy, few enough to lose little in a crash (hotpath.md)."""

log = structlog.get_logger(__name__)


class Push(NamedTuple):
    """A claimed push, ready to be published."""

    token: PushToken
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one claim brought."""

    pushes: tuple[Push, ...]
    leaves_until: float = math.inf
    """On the claim's monotonic clock: a paced push that is later has lost its slot."""
    settled_count: int = 0
    """Due tasks that turned out to need no push."""


EMPTY: Final = Chunk(())


class Dispatched(NamedTuple):
    """What one piece did; only what was published is acknowledged later."""

    pushed_count: int
    settled_count: int


def rate_of(batch: Batch) -> Rate:
    """The batch's rate as the pacing rules want it."""
    return Rate(
        per_minute=batch.rate_per_minute,
        base_per_minute=batch.rate_base_per_minute,
        factor=None if batch.rate_factor is None else float(batch.rate_factor),
        notified_step=batch.rate_notified_step,
        succeeded_step=batch.rate_succeeded_step,
    )


def open_batches() -> list[int]:
    """Batches that may have something to push: few rows, by a partial index."""
    running = Batch.objects.filter(is_open=True).exclude(status__in=(BatchStatus.PLANNED,))
    return list(running.order_by("id").values_list("pk", flat=True))


def claim(
    *,
    batch_id: int,
    clock: Clock = database_now,
    limit: int = UNLIMITED_GRANT,
    monotonic: Callable[[], float] = time.monotonic,
) -> Chunk:
    """Claim up to `limit` due tasks of a batch at its pace, in one short transaction under the batch's row lock."""
    with transaction.atomic():
        batch = (
            Batch.objects.select_for_update(no_key=True, of=("self",))
            .select_related("package", "product")
            .get(pk=batch_id)
        )
        leaves_until = monotonic() + PUBLISH_DEADLINE_SECONDS  # read first: a stall must not gain time
        now = clock()
        if batch.status == BatchStatus.PLANNED or (batch.finish_at is not None and now >= batch.finish_at):
            return EMPTY
        per_minute = _rate_of_locked(batch)
        slots = grant(next_slot_at=batch.next_slot_at, now=now, per_minute=per_minute, limit=limit)
        if slots.slot_count == 0:
            return EMPTY
        rows = sql.due_tasks(
            batch_id=batch.pk, now=now, limit=slots.slot_count, only_upgrading=batch.paused_at is not None
        )
        if not rows:
            return EMPTY
        claimed, settled = _decide_due(batch, rows, now)
        sql.write_claims(claimed, lease_until=now + LEASE, now=now)
        if claimed and per_minute is not None:
            next_slot_at = advance(slots.start, claimed=len(claimed), per_minute=per_minute)
            Batch.objects.filter(pk=batch.pk).update(next_slot_at=next_slot_at)
        pushes = _pushes(batch, rows, claimed, now)
    return Chunk(pushes, math.inf if per_minute is None else leaves_until, settled)


def _rate_of_locked(batch: Batch) -> int | None:
    rate = rate_of(batch)
    if rate.base_per_minute is None:
        return rate.per_minute
    counts = BatchCounts.objects.values_list("ever_notified", "succeeded").get(pk=batch.pk)
    return rate_now(rate, notified_count=counts[0], succeeded_count=counts[1])


def _decide_due(batch: Batch, rows: Sequence[sql.DueRow], now: datetime) -> tuple[list[sql.Claim], int]:
    """Ask the state machine about each due task; the few that need no push are moved with all of their facts."""
    policy = context_of(batch).policy
    claims: list[sql.Claim] = []
    special: dict[int, PushDue] = {}
    decided: dict[tuple[object, ...], Decision] = {}
    for row in rows:
        same = row[3:]  # tasks that are equal in this are decided once (hot path)
        decision = decided.get(same)
        if decision is None:
            decision = decided[same] = decide(_facts_of(row, policy), PushDue(row.current_version), now)
        if decision.verdict is not Verdict.APPLIED:
            continue
        if is_unfinished(decision.facts.status):
            claims.append(sql.Claim(row.id, decision.facts.push_no, decision.facts.source_version))
        else:
            special[row.id] = PushDue(row.current_version)
    if special:
        moves = Transitions(now)
        for task in moves.lock(Task.objects.filter(pk__in=special)):
            moves.apply(task, special[task.id])
        moves.flush()
    return claims, len(special)


def _facts_of(row: sql.DueRow, policy: Policy) -> TaskFacts:
    """What the rules of a push look at."""
    return TaskFacts(
        status=TaskStatus(row.status),
        policy=policy,
        push_no=row.push_no,
        source_version=row.source_version,
        is_retry_pending=bool(row.is_retry_pending),
        reason=Reason(row.reason),
    )


def _pushes(batch: Batch, rows: Sequence[sql.DueRow], claims: Sequence[sql.Claim], now: datetime) -> tuple[Push, ...]:
    notifications = Notifications(now)
    by_id = {row.id: row for row in rows}
    product_key = batch.product.product_key
    return tuple(
        Push(
            PushToken(claim.id, claim.push_no),
            topics.upgrade(product_key, by_id[claim.id].device_name),
            notifications.push(batch.pk, by_id[claim.id].public_id, claim.id),
        )
        for claim in claims
    )


def publish(chunk: Chunk, publisher: Publisher, *, monotonic: Callable[[], float] = time.monotonic) -> list[PushToken]:
    """Publish a chunk; answers the tokens that lost their slot: paced pushes leave within a deadline from the claim.

    Raises PublisherUnavailable; what the broker was not offered yet is due again by then.
    """
    for position, push in enumerate(chunk.pushes):
        if monotonic() > chunk.leaves_until:
            return [late.token for late in chunk.pushes[position:]]
        try:
            publisher.publish(push.topic, push.payload, push.token)
        except PublisherUnavailable:
            give_back([late.token for late in chunk.pushes[position + 1 :]])
            raise
    return []


def give_back(tokens: Sequence[PushToken]) -> int:
    """End claims that were not used: their tasks are due again, at once."""
    return sql.give_back(tokens)


def dispatch_once(
    *,
    batch_id: int,
    publisher: Publisher,
    limit: int = UNLIMITED_GRANT,
    clock: Clock = database_now,
    monotonic: Callable[[], float] = time.monotonic,
    expect: Callable[[int], None] = lambda _: None,
) -> Dispatched:
    """One bounded piece: claim, publish, give the rest back. `expect` is told how many acknowledgements will come."""
    chunk = claim(batch_id=batch_id, clock=clock, limit=limit, monotonic=monotonic)
    expect(len(chunk.pushes))
    late = publish(chunk, publisher, monotonic=monotonic)
    expect(-len(late))
    give_back(late)
    return Dispatched(len(chunk.pushes) - len(late), chunk.settled_count)


def run(
    *, publisher: Publisher, seconds: float, clock: Clock = database_now, stop: threading.Event | None = None
) -> int:
    """Drive all open batches for a while; answers how many tasks were pushed or settled. The caller holds the lease."""
    stopping = stop or threading.Event()
    recorder = Recorder(publisher, clock, thread_count=RECORDER_THREADS if is_postgresql() else 1)
    recorder.start()
    total = 0
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until and not stopping.is_set() and recorder.failure is None:
            worked = _round(publisher, recorder, clock)
            total += worked
            if not worked:
                stopping.wait(TICK_SECONDS)
    finally:
        recorder.stop(timeout_seconds=5)
    if recorder.failure is not None:
        raise recorder.failure
    return total


def _round(publisher: Publisher, recorder: Recorder, clock: Clock) -> int:
    """One chunk of every open batch, so that a large one does not starve the others."""
    worked = 0
    for batch_id in open_batches():
        _wait_for_room(recorder)
        worked += sum(dispatch_once(batch_id=batch_id, publisher=publisher, clock=clock, expect=recorder.expect))
    return worked


def _wait_for_room(recorder: Recorder) -> None:
    until = time.monotonic() + LEASE.total_seconds()
    while recorder.unrecorded_count > MAX_UNRECORDED and recorder.failure is None and time.monotonic() < until:
        time.sleep(0.005)
