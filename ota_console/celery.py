"""The composition root of the workers and of beat: `celery -A ota_console.celery worker -Q default`."""

import os

from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_ready, worker_shutting_down
from django.conf import settings

from devices_app.ports import wire_publisher, wire_session_ender
from ota_console.core import garbage, jobs, shutdown
from ota_console.core.processes import die_with_parent
from ota_console.gateway.publisher import publisher_by_settings
from ota_console.gateway.sessions import end_session_by_message

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ota_console.settings")

app = Celery("ota_console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# Below are Celery's own hooks of a process's life, not signals of the domain.


wire_publisher(publisher_by_settings)
wire_session_ender(end_session_by_message)


@setup_logging.connect
def _keep_djangos_logging(**kwargs: object) -> None:
    """Celery's own set-up would replace the one shape of log lines."""
    assert settings.LOGGING  # noqa: S101 reading the settings configures logging


@worker_shutting_down.connect
def _tell_long_tasks(**kwargs: object) -> None:
    """The relay and the push loop end after their present step."""
    shutdown.announce()


@worker_process_init.connect
def _die_with_the_worker(**kwargs: object) -> None:
    """A worker that is killed takes its pool along: a half-alive one would go on pushing unseen."""
    die_with_parent()


@worker_process_init.connect
def _handle_many_rows(**kwargs: object) -> None:
    """Launches and pushes make rows by the thousand."""
    garbage.search_rarely()


SIGNS_OF_LIFE = {"default": "core.heartbeat", "dispatch": "batches_app.dispatch", "relay": "outbox.relay"}
"""By queue: the task whose run tells health checks that somebody takes work there."""


@worker_ready.connect
def _show_life(**kwargs: object) -> None:
    """The first task of a worker's queues is sent at once; beat would send it only after its first period."""
    for queue in app.amqp.queues.consume_from:
        if queue in SIGNS_OF_LIFE:
            jobs.send(SIGNS_OF_LIFE[queue])
