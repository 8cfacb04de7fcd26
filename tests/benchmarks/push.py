"""B2.

Due devices, pushed without a rate limit and recorded, beside a publisher that only publishes the same payloads.
"""

import threading
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from batches_app.domain.states import EventKind, TaskStatus
from batches_app.engine import dispatch
from batches_app.engine.notification import Notifications
from batches_app.models import Batch, BatchCounts, Task, TaskEvent
from devices_app.protocol import topics
from ota_console.core import clock
from ota_console.demo.processes import wait_until
from ota_console.gateway.adapter import Endpoint
from ota_console.gateway.publisher import MqttPublisher
from tests.benchmarks import fleet
from tests.benchmarks.helpers import Helper
from tests.benchmarks.measure import Bar, Kind
from tests.benchmarks.messages import write_messages

POLL_SECONDS: Final = 0.02
MOST_SECONDS: Final = 600.0


class Push:
    """A contest over `device_count` pushes."""

    row = "B2"

    def __init__(self, *, device_count: int, folder: Path) -> None:
        """Makes the fleet."""
        self.piece_count = device_count
        self.work = f"push to {device_count:,} due online devices: claimed, published, acknowledged, recorded"
        self.bar = Bar(Kind.RATE, 0.7)
        self._file = folder / self.row
        self._fleet = fleet.make_fleet(device_count, clock.now(), has_offline=False)

    def product(self) -> float:
        """From the first claim to the record of the last push; the push loop runs in this process."""
        batch = self._prepare()
        self._write_payloads(batch)
        stop = threading.Event()
        publisher = MqttPublisher(endpoint=Endpoint.from_url(settings.MQTT_URL), client_id="benchmark-push")
        watch = _Watch(batch, self.piece_count, stop)
        start = monotonic()
        watch.start()
        try:
            dispatch.run(publisher=publisher, seconds=MOST_SECONDS, stop=stop)
        finally:
            stop.set()
            watch.join()
            publisher.close()
        self._check(batch)
        return watch.finished_at - start

    def _prepare(self) -> Batch:
        fleet.drop_tasks()
        batch = fleet.make_batch(self._fleet)
        fleet.make_tasks(batch, TaskStatus.QUEUED, clock.now() - timedelta(minutes=1))
        fleet.settle()
        return batch

    def _write_payloads(self, batch: Batch) -> None:
        """What the bare way sends: the product's own payloads."""
        notifications = Notifications(clock.now())
        key = self._fleet.product.product_key
        rows = Task.objects.filter(batch=batch).values_list("id", "public_id", "device_name")
        write_messages(
            self._file,
            ((topics.upgrade(key, name), notifications.push(batch.pk, public_id, pk)) for pk, public_id, name in rows),
        )

    def _check(self, batch: Batch) -> None:
        fleet.check_counts(batch, notified=self.piece_count)
        assert BatchCounts.objects.get(batch=batch).ever_notified == self.piece_count
        assert Task.objects.filter(batch=batch, push_no=1, lease_until=None, due_at=None).count() == self.piece_count
        assert TaskEvent.objects.filter(kind=EventKind.PUSHED).count() == self.piece_count

    def bare(self) -> float:
        """From the first message to the last acknowledgement."""
        port = urlsplit(settings.MQTT_URL).port or 1883
        with Helper("bare_publisher", port, self._file) as publisher:
            publisher.wait_ready()
            start = publisher.go()
            return publisher.finished_at() - start


class _Watch(threading.Thread):
    """Ends the push loop when everything is recorded."""

    def __init__(self, batch: Batch, expected: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.finished_at = 0.0
        self._counts = BatchCounts.objects.filter(batch=batch, notified=expected)
        self._stop_loop = stop

    def run(self) -> None:
        """Until everything is recorded, or the loop ended for another reason."""
        wait_until(lambda: self._counts.exists() or self._stop_loop.is_set(), MOST_SECONDS, POLL_SECONDS)
        self.finished_at = monotonic()
        self._stop_loop.set()
        connection.close()
