"""Celery knows when: what is to be told to the broker after a commit."""

import structlog
from celery import shared_task

from devices_app import ports

log = structlog.get_logger(__name__)


@shared_task(name="devices_app.end_session")
def end_session(product_key: str, device_name: str) -> None:
    """End the session of a device that may not be connected any more, or not with the secret that it used.

    A broker that is away has no sessions: devices log in again when it is back, and are refused then.
    """
    try:
        ports.end_session(product_key, device_name)
    except ports.PublisherUnavailable as away:
        log.warning("session.not_ended", product=product_key, device=device_name, reason=str(away))
