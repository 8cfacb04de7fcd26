"""Sends Celery tasks by name once the transaction has committed, so that commands and engine never import tasks.

A Redis that is down is logged and forgotten: beat finds the same work in the database rows. Nothing here waits for an
answer.
"""

from functools import cache, partial
from typing import Any, Final

import structlog
from celery import Celery
from django.db import transaction
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

SECONDS_TO_WAIT_FOR_REDIS: Final = 2
"""A request must not hang on a queue that is only a short cut."""


def enqueue(name: str, *args: Any) -> None:
    """Send task `name` (for example `batches_app.launch`) on commit; at once where no transaction is open."""
    transaction.on_commit(partial(send, name, *args))


def send(name: str, *args: Any) -> bool:
    """Send task `name` now; False where the queue cannot be reached."""
    try:
        _producer().send_task(name, args=args, retry=False, ignore_result=True)
    except (OperationalError, KombuError, RedisError, OSError) as error:
        log.warning("job.not_sent", job=name, reason=str(error))
        return False
    return True


@cache
def _producer() -> Celery:
    """A sender of its own: its short time-outs must not reach the workers' blocking reads."""
    app = Celery("ota_console.jobs", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.broker_transport_options = {
        **app.conf.broker_transport_options,
        "socket_connect_timeout": SECONDS_TO_WAIT_FOR_REDIS,
        "socket_timeout": SECONDS_TO_WAIT_FOR_REDIS,
    }
    return app
