from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

import pytest
import redis
from celery import current_app
from django.apps import apps
from django.db import transaction
from pytest_django import Settings
from structlog.testing import capture_logs

from ota_console.core import jobs
from tests.servers import Server

QUEUE = "ota-jobs:default"


@pytest.fixture
def queue(valkey_server: Server, settings: Settings) -> Iterator[redis.Redis]:
    """A real queue, and a sender that knows its address."""
    settings.CELERY_BROKER_URL = valkey_server.url
    jobs._producer.cache_clear()
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
        yield client
    jobs._producer().close()
    jobs._producer.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_a_job_is_sent_when_its_transaction_commits(queue: redis.Redis) -> None:
    """Not before: the worker must find the row."""
    with transaction.atomic():
        jobs.enqueue("batches_app.launch", 7)
        assert queue.llen(QUEUE) == 0
    assert queue.llen(QUEUE) == 1


@pytest.mark.django_db(transaction=True)
def test_a_job_of_a_rolled_back_transaction_is_never_sent(queue: redis.Redis) -> None:
    """There is nothing to work on."""
    with transaction.atomic():
        jobs.enqueue("batches_app.launch", 7)
        transaction.set_rollback(True)
    assert queue.llen(QUEUE) == 0


def test_a_queue_that_is_down_is_logged_and_forgotten(settings: Settings) -> None:
    """The request goes on; beat finds the work in the database."""
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    jobs._producer.cache_clear()
    with capture_logs() as logs:
        assert jobs.send("batches_app.launch", 7) is False
    jobs._producer.cache_clear()
    assert [entry["event"] for entry in logs] == ["job.not_sent"]


def test_every_periodic_task_exists(settings: Settings) -> None:
    """Beat sends names, and finds nobody at home where one is misspelt."""
    for app in apps.get_app_configs():
        if app.name.startswith(("ota_console", "devices_app", "packages_app", "batches_app")):
            module = f"{app.name}.tasks"
            if find_spec(module) is not None:
                import_module(module)
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= current_app.tasks.keys()
