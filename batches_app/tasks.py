"""Celery knows when, the engine knows what. Each task takes ids, may run twice, and finds its work in the rows."""

import threading
from contextlib import closing

import structlog
from celery import shared_task

from batches_app.engine import dispatch as push_loop
from batches_app.engine import runs
from batches_app.engine.steps import Turn
from devices_app.ports import PublisherUnavailable, open_publisher
from ota_console.core import clock, leases, shutdown
from ota_console.core.jobs import enqueue

log = structlog.get_logger(__name__)

DISPATCH_SECONDS = 60.0
"""The push loop ends after this and beat enqueues it again: a deployment need not wait for it."""


@shared_task(name="batches_app.launch")
def launch(batch_id: int) -> None:
    """Write the tasks of a batch."""
    if runs.launch(batch_id):
        enqueue("batches_app.launch", batch_id)
    enqueue("batches_app.dispatch")


@shared_task(name="batches_app.cancel")
def cancel(batch_id: int) -> None:
    """End the tasks of a batch that were asked to be canceled."""
    if runs.cancel(batch_id):
        enqueue("batches_app.cancel", batch_id)


@shared_task(name="batches_app.sweep")
def sweep() -> None:
    """Deadlines, starts, finishes, ends."""
    runs.sweep()


@shared_task(name="batches_app.match")
def match() -> None:
    """Devices for the dynamic batches."""
    runs.match()


@shared_task(name="batches_app.resume")
def resume() -> None:
    """Go on with launches and cancels whose worker or message was lost."""
    launching, canceling = runs.unfinished_work()
    for batch_id in launching:
        runs.launch(batch_id)
    for batch_id in canceling:
        runs.cancel(batch_id)


@shared_task(name="batches_app.reconcile")
def reconcile() -> None:
    """Look again at everything that waits."""
    runs.reconcile()


class UntilOthersTurn(threading.Event):
    """Set when the worker is asked to end or another one drives the pushes.

    The push loop looks at it before each chunk; each look is a sign of life, told to health checks.
    """

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self._turn = turn
        self._heartbeat = leases.Heartbeat("dispatch", clock=clock.now, monotonic=clock.monotonic)

    def is_set(self) -> bool:
        if shutdown.is_announced() or not self._turn.is_mine():
            return True
        self._heartbeat.beat()
        return False


@shared_task(name="batches_app.dispatch")
def dispatch() -> None:
    """Push what is due, unless another worker does already."""
    with Turn("dispatch", clock.now) as turn:
        if not turn.is_mine():
            return
        try:
            with closing(open_publisher()) as publisher:
                push_loop.run(publisher=publisher, seconds=DISPATCH_SECONDS, stop=UntilOthersTurn(turn))
        except PublisherUnavailable as away:
            log.warning("dispatch.broker_away", reason=str(away))
