"""The composition root of the workers and of beat: `celery -A ota_console.celery worker -Q default`."""

import os

from celery import Celery
from celery.signals import setup_logging, worker_shutting_down
from django.conf import settings

from ota_console.core import shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ota_console.settings")

app = Celery("ota_console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_djangos_logging(**kwargs: object) -> None:
    """Celery's own set-up would replace the one shape of log lines (this is Celery's hook, not a domain signal)."""
    assert settings.LOGGING  # noqa: S101 reading the settings configures logging


@worker_shutting_down.connect
def _tell_long_tasks(**kwargs: object) -> None:
    """The relay and the push loop end after their present step (Celery's hook, as above)."""
    shutdown.announce()
