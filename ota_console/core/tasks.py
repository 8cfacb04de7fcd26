"""The heartbeat of Celery's workers, beaten by beat: a lease that a health check reads."""

from celery import shared_task

from ota_console.core import clock, leases


@shared_task(name="core.heartbeat")
def heartbeat() -> None:
    """Say that some worker of the default queue takes work; which one does not matter."""
    leases.beat("worker", clock.now())
