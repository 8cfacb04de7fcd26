"""B3 and B3w: reports of devices to the committed state, beside a subscriber that only counts them.

The product's side is the gateway's own process. Both sides take the same packets from the same broker, sent by the same
generator. What a device reports is in its order; all devices report at the same time, as in a rollout.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

from batches_app.domain.states import EventKind, TaskStatus
from batches_app.models import Batch, Task, TaskEvent
from devices_app.models import DropCount, ModuleVersion
from devices_app.protocol import topics
from ota_console.core import clock
from ota_console.demo.processes import Child, Program
from tests.benchmarks import fleet, wire
from tests.benchmarks.helpers import Helper
from tests.benchmarks.measure import Bar, Kind
from tests.benchmarks.messages import Message, write_packets

MOST_POLL_SECONDS: Final = 0.1
LEAST_POLL_SECONDS: Final = 0.005
MOST_SECONDS: Final = 600.0
SENDERS: Final = 4
"""Connections of the generator: one alone would be slowed by the broker, which takes a packet a turn from each."""
STEPS: Final = (10, 20, 30, 40, 50, 60, 70, 80, 90)
STEPS_IN_HISTORY: Final = 4
"""Of these, the first one and those that pass a quarter: 10, 30, 50, 80."""


class Ingest:
    """A contest over `message_count` reports: `steps` of progress and one version for each device."""

    def __init__(self, *, row: str, message_count: int, steps: tuple[int, ...], bar: float, folder: Path) -> None:
        """Makes the fleet and encodes its messages."""
        device_count = message_count // (len(steps) + 1)
        self.row = row
        self.piece_count = device_count * (len(steps) + 1)
        self.work = f"{self.piece_count:,} reports ({len(steps)} progress + 1 version per device), QoS 1"
        self.bar = Bar(Kind.RATE, bar)
        self._steps = steps
        self._port = urlsplit(settings.MQTT_URL).port or 1883
        self._fleet = fleet.make_fleet(device_count, clock.now(), has_offline=False)
        self._files = self._write_files(folder)

    def _write_files(self, folder: Path) -> list[Path]:
        names = self._fleet.device_names
        return [
            write_packets(folder / f"{self.row}-{number}", list(self._reports(names[number::SENDERS])))
            for number in range(SENDERS)
        ]

    def _reports(self, names: list[str]) -> Iterator[Message]:
        key = self._fleet.product.product_key
        for step in self._steps:
            payload = b'{"id":"1","params":{"step":"%d","desc":"downloading, %d percent"}}' % (step, step)
            yield from ((topics.progress(key, name), payload) for name in names)
        payload = b'{"id":"2","params":{"version":"%s"}}' % fleet.NEW_VERSION.encode()
        yield from ((topics.inform(key, name), payload) for name in names)

    # --- the product's way --------------------------------------------------------------------------------------------

    def product(self) -> float:
        """From the first packet to the commit of the last one."""
        batch = self._prepare()
        with self._gateway(), Helper("generator", self._port, *self._files) as generator:
            generator.wait_ready()
            start = generator.go()
            end = self._wait_until_through(batch, start)
            assert generator.finished_at() < end
        self._check(batch)
        return end - start

    def _wait_until_through(self, batch: Batch, start: float) -> float:
        """The moment of the last commit. Asks seldom while much is left: on two cores asking costs the product time."""
        expected = self._fleet.device_count
        first = 0.0
        while (now := monotonic()) < start + MOST_SECONDS:
            done = fleet.value("SELECT succeeded FROM batches_app_batchcounts WHERE batch_id = %s", batch.pk)
            if done == expected:
                return monotonic()
            first = first or (now if done else 0.0)
            left = (expected - done) / (done / (now - first)) if done and now > first else MOST_POLL_SECONDS
            time.sleep(min(MOST_POLL_SECONDS, max(LEAST_POLL_SECONDS, left / 4)))
        raise AssertionError("messages were lost")

    def _prepare(self) -> Batch:
        fleet.drop_tasks()
        batch = fleet.make_batch(self._fleet)
        now = clock.now()
        fleet.make_tasks(batch, TaskStatus.NOTIFIED, now - timedelta(minutes=1))
        fleet.run("UPDATE devices_app_device SET last_seen_at = %s - random() * interval '60 s'", now)
        fleet.settle()
        return batch

    @contextmanager
    def _gateway(self) -> Iterator[None]:
        """The gateway's process, subscribed.

        Its session is forgotten at the end, lest the broker keep messages for it.
        """
        program = Program(
            name="gateway",
            command=[sys.executable, "-m", "django", "gateway", "--skip-checks"],
            is_ready=self._is_gateway_listening,
        )
        child = Child(program, lambda name, line: print(f"{name}: {line}", file=sys.stderr))  # noqa: T201 - its log
        try:
            child.wait_ready()
            yield
        finally:
            child.stop()
            wire.open_connection(self._port, settings.GATEWAY_CLIENT_ID).close()

    def _is_gateway_listening(self) -> bool:
        """A message of a device that nobody knows is counted."""
        probe = topics.inform(self._fleet.product.product_key, "nobody")
        wire.send_one(self._port, probe, b'{"params":{"version":"1"}}')
        return DropCount.objects.filter(reason="unknown_device").exists()

    def _check(self, batch: Batch) -> None:
        """Nothing lost, nothing doubled."""
        count = self._fleet.device_count
        fleet.check_counts(batch, succeeded=count)
        last = f"downloading, {self._steps[-1]} percent"
        assert Task.objects.filter(batch=batch, progress=100, progress_text=last).count() == count
        assert ModuleVersion.objects.filter(version=fleet.NEW_VERSION).count() == count
        lines = TaskEvent.objects.filter(task__batch=batch)
        progress = STEPS_IN_HISTORY if self._steps == STEPS else 1
        assert lines.filter(kind=EventKind.PROGRESS).count() == count * progress
        assert lines.filter(kind=EventKind.VERSION).count() == count
        assert not DropCount.objects.exclude(reason="unknown_device").exists()

    # --- the bare way -------------------------------------------------------------------------------------------------

    def bare(self) -> float:
        """From the first packet to the last one counted."""
        with (
            Helper("bare_subscriber", self._port, self.piece_count) as subscriber,
            Helper("generator", self._port, *self._files) as generator,
        ):
            subscriber.wait_ready()
            generator.wait_ready()
            start = generator.go()
            return subscriber.finished_at() - start
