"""Celery knows when, the relay knows what."""

import time

from celery import shared_task

from ota_console.core import clock, shutdown
from ota_console.core.ids import new_public_id
from ota_console.outbox.commands import PARTITIONS
from ota_console.outbox.relay import Relay
from ota_console.outbox.sinks.live import LiveSink

RUN_SECONDS = 60.0
"""A long-running task ends after a while and is enqueued again by beat: a deployment need not wait for it."""


@shared_task(name="outbox.relay")
def relay(partition: int = 0) -> int:
    """Carry the outbox to its sinks, unless another relay does already."""
    runner = Relay(
        partition=partition % PARTITIONS,
        sinks=(LiveSink(),),
        holder=new_public_id(clock.now()),
        clock=clock.now,
        monotonic=clock.monotonic,
        wait=time.sleep,
        is_ending=shutdown.is_announced,
    )
    return runner.run(seconds=RUN_SECONDS)
