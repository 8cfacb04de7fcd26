"""Words for tests that play devices and push workers through the real engine on the real database.

`tests.campaign` has those for people and their batches. They only call what the product calls, in the order and at the
time that the test says.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from batches_app.engine import dispatch, reconcile, recorder
from batches_app.engine.ingest import IngestResult, ingest
from batches_app.models import Batch, BatchCounts, Task, TaskEvent
from batches_app.sql.tasks import COUNT_COLUMNS
from devices_app.models import Device
from devices_app.ports import PushToken
from devices_app.protocol.payloads import Inbound, Presence, ProgressReport, PullRequest, VersionReport
from tests.factories import NOW
from tests.fakes import FakePublisher

# --- devices ---------------------------------------------------------------------------------------------------------


def said(*messages: Inbound, at: datetime = NOW) -> IngestResult:
    """One micro-batch of messages, in the order that the broker gave them."""
    with transaction.atomic():
        return ingest(messages, at)


def names(device: Device) -> tuple[str, str]:
    return device.product.product_key, device.name


def progress(device: Device, step: int, desc: str = "", *, module: str = "default") -> ProgressReport:
    return ProgressReport(*names(device), module, step, desc)


def version(device: Device, value: str, *, module: str = "default") -> VersionReport:
    return VersionReport(*names(device), module, value)


def pull(device: Device, *, module: str = "default") -> PullRequest:
    return PullRequest(*names(device), 7, module)


def connected(device: Device, session: str = "new") -> Presence:
    return Presence(*names(device), is_connect=True, session=session, address="10.0.0.9", at=0)


def disconnected(device: Device, session: str = "new") -> Presence:
    return Presence(*names(device), is_connect=False, session=session, address="", at=0)


# --- workers ---------------------------------------------------------------------------------------------------------


def push(batch: Batch, *, at: datetime = NOW, limit: int = 500) -> list[PushToken]:
    """Claim and publish what is due; the broker's acknowledgements are still on their way."""
    publisher = FakePublisher()
    dispatch.dispatch_once(batch_id=batch.pk, publisher=publisher, limit=limit, clock=lambda: at, monotonic=lambda: 0.0)
    return [token for _, _, token in publisher.sent]


def record(tokens: Sequence[PushToken], *, at: datetime = NOW) -> int:
    """The broker's acknowledgements arrive."""
    return recorder.record(tokens, clock=lambda: at)


def push_and_record(batch: Batch, *, at: datetime = NOW) -> int:
    """How many devices are Pushed by it."""
    return record(push(batch, at=at), at=at)


# --- what stands in the database -------------------------------------------------------------------------------------


def task_of(batch: Batch, device: Device) -> Task:
    """The newest task of the device in the batch."""
    return Task.objects.filter(batch=batch, device=device).latest("match_no")


def history(task: Task) -> list[tuple[int, int]]:
    """(kind, status after it) of each line."""
    return list(TaskEvent.objects.filter(task=task).values_list("kind", "status"))


def counts(batch: Batch) -> dict[str, int]:
    """The batch's counters that are not zero."""
    found = BatchCounts.objects.get(pk=batch.pk)
    return {name: value for name in COUNT_COLUMNS if (value := getattr(found, name))}


def assert_counters_are_true() -> None:
    """Every counter is what its tasks say (rules.md §6)."""
    assert reconcile.check_consistency() == []
