"""The relay as Celery runs it."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from ota_console.core import clock as real_clock
from ota_console.core import leases, shutdown
from ota_console.core.clock import FakeClock
from ota_console.outbox import commands, events, tasks
from ota_console.outbox.models import OutboxMessage
from ota_console.settings import channel_layer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _leave_no_end_announced() -> Iterator[None]:
    yield
    shutdown.reset()


@pytest.fixture
def message(clock: FakeClock) -> OutboxMessage:
    commands.append(events=[events.batch_changed(batch="b", package="p")], now=clock())
    return OutboxMessage.objects.get()


def test_it_carries_the_outbox_for_a_while(message: OutboxMessage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it ends, and beat enqueues the next one."""
    monkeypatch.setattr(tasks, "RUN_SECONDS", 0.3)
    assert tasks.relay.run() == 1
    message.refresh_from_db()
    assert message.sent_at is not None


def test_it_does_not_begin_in_a_worker_that_was_asked_to_end(message: OutboxMessage) -> None:
    """A deployment need not wait for it."""
    shutdown.announce()
    assert tasks.relay.run() == 0
    message.refresh_from_db()
    assert message.sent_at is None


def test_it_tells_that_it_carries_the_outbox(message: OutboxMessage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Health checks read it: a worker that runs another queue is no proof."""
    monkeypatch.setattr(tasks, "RUN_SECONDS", 0.3)
    tasks.relay.run()
    assert leases.find("heartbeat:relay", real_clock.now()) is not None


def test_it_tells_nothing_while_redis_is_away(
    message: OutboxMessage, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """The rows wait: nobody sees changes live."""
    monkeypatch.setattr(tasks, "RUN_SECONDS", 0.3)
    settings.CHANNEL_LAYERS = {"default": channel_layer("redis://127.0.0.1:1/0")}
    tasks.relay.run()
    assert leases.find("heartbeat:relay", real_clock.now()) is None
