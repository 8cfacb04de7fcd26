"""What Celery runs: loops around the engine's bounded steps, each under a lease where two at once would be waste.

No rules here. A run ends after some seconds and says whether work is left; beat finds that in the rows.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.conf import settings

from batches_app.engine.cancel import cancel_once
from batches_app.engine.launch import launch_once
from batches_app.engine.matching import match_once
from batches_app.engine.reconcile import look_for_matches, open_batches, reconcile_batch
from batches_app.engine.silence import ask_silent_devices, end_silent_connections
from batches_app.engine.steps import Turn, again, run_alone
from batches_app.engine.sweep import purge_lists, sweep_once
from batches_app.models import Batch
from ota_console.core.db import database_now

RUN_SECONDS: Final = 50.0
"""A launch or cancel that takes longer goes on in the next run: a deployment need not wait for it."""
Clock = Callable[[], datetime]


def launch(batch_id: int, *, clock: Clock = database_now, seconds: float = RUN_SECONDS) -> bool:
    """Write a batch's tasks; whether work is left."""
    step = lambda: launch_once(batch_id=batch_id, now=clock())  # noqa: E731 - the clock is read at each step
    return run_alone(f"launch:{batch_id}", step, clock=clock, seconds=seconds)


def cancel(batch_id: int, *, clock: Clock = database_now, seconds: float = RUN_SECONDS) -> bool:
    """Carry out a batch's cancel; whether work is left."""
    step = lambda: cancel_once(batch_id=batch_id, now=clock())  # noqa: E731 - as above
    return run_alone(f"cancel:{batch_id}", step, clock=clock, seconds=seconds)


def sweep(*, clock: Clock = database_now, seconds: float = RUN_SECONDS) -> bool:
    """What time moves."""
    return run_alone("sweep", lambda: _sweep_step(clock()), clock=clock, seconds=seconds)


def _sweep_step(now: datetime) -> bool:
    has_more = sweep_once(now=now)
    has_more |= ask_silent_devices(now=now)
    if settings.PRESENCE_SILENCE_MINUTES:
        silence = timedelta(minutes=settings.PRESENCE_SILENCE_MINUTES)
        has_more |= end_silent_connections(silence=silence, now=now)
    return has_more


def match(*, clock: Clock = database_now, seconds: float = RUN_SECONDS) -> bool:
    """Requests for the dynamic batches."""
    return run_alone("match", lambda: match_once(now=clock()), clock=clock, seconds=seconds)


def unfinished_work() -> tuple[list[int], list[int]]:
    """Batches whose launch, and batches whose cancel, is not through: what beat resumes after a crash."""
    is_open = Batch.objects.filter(is_open=True).order_by("pk")
    launching = is_open.filter(launch_state__in=(Batch.LaunchState.WAITING, Batch.LaunchState.WRITING))
    canceling = is_open.exclude(cancel_mask=0)
    return list(launching.values_list("pk", flat=True)), list(canceling.values_list("pk", flat=True))


def reconcile(*, clock: Clock = database_now) -> None:
    """Look at every open task once, at every dynamic batch's devices, and at lists that nobody used."""
    with Turn("reconcile", clock) as turn:
        for batch_id in open_batches():
            for look in (reconcile_batch, look_for_matches):
                after: int | None = 0
                while after is not None and turn.is_mine():
                    after = again(partial(look, batch_id=batch_id, after=after, now=clock()))
        if turn.is_mine():
            purge_lists(now=clock())
