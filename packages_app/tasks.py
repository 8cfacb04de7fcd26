"""Celery knows when."""

import structlog
from celery import shared_task

from ota_console.core import clock
from packages_app.uploads import sweep_incoming

log = structlog.get_logger(__name__)


@shared_task(name="packages_app.sweep_uploads")
def sweep_uploads() -> None:
    """Delete the uploads that killed processes left behind. May run twice, also at once."""
    count = sweep_incoming(now=clock.now())
    if count:
        log.info("uploads.swept", files=count)
