"""Devices and tasks of a benchmark by the hundred thousand, in a few statements; PostgreSQL only.

Names and ids are numbered, so that both ways of a row find the same rows. Must not measure anything.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from batches_app.domain.states import TaskStatus
from batches_app.models import Batch, BatchCounts, PackageCounts, Task
from batches_app.transitions import STATUS_COLUMNS
from devices_app.models import Module, Product
from packages_app.models import UpdatePackage
from tests import factories

OLD_VERSION = "1.0"
NEW_VERSION = "2.0"
OFFLINE_EACH = 5
"""Where some devices are offline: one of so many."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """A product with devices `meter-0000001` … on `OLD_VERSION`, and a package that updates them."""

    product: Product
    module: Module
    package: UpdatePackage
    device_count: int

    @property
    def device_names(self) -> list[str]:
        return [f"meter-{number:07d}" for number in range(1, self.device_count + 1)]


def run(statement: str, *parameters: str | int | bool | datetime | None) -> int:
    """One statement; how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


def value(statement: str, *parameters: str | int | bool | datetime | None) -> int:
    """The single number that a query answers."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.fetchone()[0])


def settle() -> None:
    """After rows were replaced, before a measurement: true statistics, no dead rows, nothing left to write to disk."""
    run("VACUUM ANALYZE")
    run("CHECKPOINT")
    os.sync()


def make_fleet(device_count: int, now: datetime, *, has_offline: bool) -> Fleet:
    """An empty database with one fleet in it."""
    run("TRUNCATE devices_app_product, batches_app_taskevent CASCADE")
    product = factories.make_product()
    module = factories.default_module(product)
    online = f"number %% {OFFLINE_EACH} <> 0" if has_offline else "true"
    run(  # `online` is one of two constants
        "INSERT INTO devices_app_device (public_id, product_id, name, secret, is_enabled, is_online, session, address, "
        "presence_at, last_seen_at, activated_at, created_at) "
        "SELECT 'device' || lpad(number::text, 20, '0'), %s, 'meter-' || lpad(number::text, 7, '0'), %s, true, "
        f"{online}, 's', '127.0.0.1', at, at, at, at FROM generate_series(1, %s) AS number, "
        "(SELECT %s::timestamptz AS at) AS x",
        product.pk,
        factories.SECRET,
        device_count,
        now - timedelta(hours=1),
    )
    run(
        "INSERT INTO devices_app_moduleversion (device_id, module_id, version, previous_version, reported_at) "
        "SELECT id, %s, %s, '', presence_at FROM devices_app_device ORDER BY id",
        module.pk,
        OLD_VERSION,
    )
    return Fleet(product, module, factories.make_package(product, version=NEW_VERSION), device_count)


def drop_tasks() -> None:
    """No batch, no task, no event; the fleet stays, and is on its old version again."""
    run("TRUNCATE batches_app_batch, batches_app_taskevent, outbox_outboxmessage, devices_app_dropcount CASCADE")
    run("TRUNCATE gateway_appliedentry")
    run("DELETE FROM batches_app_packagecounts")
    run("UPDATE devices_app_moduleversion SET version = %s WHERE version <> %s", OLD_VERSION, OLD_VERSION)


def make_batch(fleet: Fleet) -> Batch:
    """A batch without a rate limit and without tasks."""
    return factories.make_batch(fleet.package)


def make_tasks(batch: Batch, status: TaskStatus, now: datetime, *, each: int = 1) -> int:
    """A counted task of this state for every `each`-th device, as the launch, or the record of its push, leaves it."""
    count = run(
        "INSERT INTO batches_app_task (public_id, batch_id, device_id, device_name, module_id, status, is_offline, "
        "source_version, due_at, push_no, notified_at, created_at, updated_at) "
        "SELECT 'task' || lpad(d.id::text, 22, '0'), %s, d.id, d.name, %s, %s, NOT d.is_online, %s, "
        "CASE WHEN d.is_online AND %s THEN at END, %s, CASE WHEN %s THEN at END, at, at "
        "FROM devices_app_device d, (SELECT %s::timestamptz AS at) AS x "
        "WHERE d.product_id = %s AND right(d.name, 7)::int %% %s = 0 ORDER BY d.id",
        batch.pk,
        batch.module_id,
        int(status),
        OLD_VERSION,
        status == TaskStatus.QUEUED,
        int(status == TaskStatus.NOTIFIED),
        status == TaskStatus.NOTIFIED,
        now,
        batch.product_id,
        each,
    )
    _count(batch, status, count)
    return count


def _count(batch: Batch, status: TaskStatus, count: int) -> None:
    offline = Task.objects.filter(batch=batch, is_offline=True).count() if status == TaskStatus.QUEUED else 0
    counts = {
        STATUS_COLUMNS[status]: count,
        "queued_offline": offline,
        "ever_notified": count if status == TaskStatus.NOTIFIED else 0,
    }
    BatchCounts.objects.filter(batch=batch).update(**counts)
    PackageCounts.objects.filter(package=batch.package_id).update(**counts)


def check_counts(batch: Batch, **expected: int) -> None:
    """The tasks are in these states and no others, and batch and package count them so."""
    for name, status in zip(STATUS_COLUMNS, TaskStatus, strict=True):
        wanted = expected.get(name, 0)
        stored = [
            Task.objects.filter(batch=batch, status=status).count(),
            BatchCounts.objects.values_list(name, flat=True).get(batch=batch),
            PackageCounts.objects.values_list(name, flat=True).get(package=batch.package_id),
        ]
        assert stored == [wanted] * 3, f"{name}: tasks, batch and package say {stored}, expected {wanted}"
