"""The heartbeat of Celery's workers, beaten by beat: a lease that a health check reads."""

import socket

from celery import shared_task

from ota_console.core import clock, leases

HEARTBEAT_SECONDS = 20
"""Four missed beats make a worker dead."""


@shared_task(name="core.heartbeat")
def heartbeat() -> None:
    """Say that some worker of the default queue takes work; which one does not matter."""
    now = clock.now()
    leases.acquire("heartbeat:worker", socket.gethostname(), HEARTBEAT_SECONDS, now)
