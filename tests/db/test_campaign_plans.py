"""How the databases carry out the hot statements: tasks are reached through an index, never by reading them all.

Tables of a test are tiny, so PostgreSQL is told to avoid sequential scans: one that remains means that no index fits.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from batches_app.commands.cancel import cancel_batch
from batches_app.domain.states import TaskStatus
from batches_app.engine.cancel import cancel_once
from batches_app.engine.launch import launch_once
from batches_app.engine.matching import match_once
from batches_app.engine.reconcile import look_for_matches, reconcile_batch
from batches_app.engine.sweep import sweep_once
from batches_app.models import Batch
from batches_app.sql.tasks import request_matches
from devices_app.models import Product
from tests.campaign import DYNAMIC, OPERATOR, OVERWRITE, start
from tests.factories import NOW, make_batch, make_device, make_devices, make_package, make_product, make_task

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=1)
READS_ALL_TASKS = re.compile(r"Seq Scan on batches_app_task\b|\bSCAN (t|o|s|m|n)\b")
"""SQLite's plan of an INSERT names a scan for foreign keys too, which it skips while none is violated.

Hence aliases only.
"""


@contextmanager
def recorded() -> Iterator[list[tuple[str, Any]]]:
    """Every statement that is run inside, with its values."""
    found: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, values: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's hook
        found.append((sql, values))
        return execute(sql, values, many, context)

    with connection.execute_wrapper(note):
        yield found


def plan_of(sql: str, values: Any) -> str:
    """The plan as text."""
    is_postgresql = connection.vendor == "postgresql"
    with transaction.atomic(), connection.cursor() as cursor:
        if is_postgresql:
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(("EXPLAIN " if is_postgresql else "EXPLAIN QUERY PLAN ") + sql, values)
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def plans(work: Callable[[], object]) -> dict[str, str]:
    """The plans of all statements about tasks that the work runs."""
    with recorded() as statements:
        work()
    about_tasks = [(sql, values) for sql, values in statements if "batches_app_task" in sql]
    assert about_tasks
    return {sql: plan_of(sql, values) for sql, values in about_tasks if not sql.startswith(("SAVEPOINT", "RELEASE"))}


def check(work: Callable[[], object], *indexes: str) -> None:
    """No statement reads all tasks, and each of the named indexes is used by one of them."""
    found = plans(work)
    for sql, plan in found.items():
        assert not READS_ALL_TASKS.search(plan), f"{sql}\n{plan}"
    used = "\n".join(found.values())
    for index in indexes:
        assert index in used, f"{index} is not used:\n{used}"


@pytest.fixture
def product() -> Product:
    product = make_product()
    make_devices(product, 20)
    return product


@pytest.fixture
def running(product: Product) -> Batch:
    """A batch with an open task for each of its devices."""
    batch = make_batch(make_package(product, version="3.0"))
    for number, device in enumerate(product.devices.all()):
        make_task(batch, device, TaskStatus.IN_PROGRESS if number % 5 == 0 else TaskStatus.QUEUED)
    return batch


def test_a_launch_slice(product: Product, running: Batch) -> None:
    """Open tasks by device, within the slice's range."""
    assert running.pk
    batch = start(make_package(product), LATER, busy_policy=OVERWRITE)
    launch_once(batch_id=batch.pk, now=LATER)
    check(lambda: launch_once(batch_id=batch.pk, now=LATER), "one_unfinished_task_per_device")


def test_a_cancel_slice(running: Batch) -> None:
    """By batch, status and id."""
    cancel_batch(batch=running.public_id, actor=OPERATOR, now=LATER)
    check(lambda: cancel_once(batch_id=running.pk, now=LATER, slice_size=5), "task_by_batch_and_status")


def test_deadlines(product: Product, running: Batch) -> None:
    """By the partial index of timed tasks."""
    make_task(running, make_device(product), TaskStatus.IN_PROGRESS, deadline_at=LATER)
    check(lambda: sweep_once(now=LATER), "task_timed")


def test_matching(product: Product, running: Batch) -> None:
    """By batch and device, and by device among the open ones."""
    assert running.pk
    batch = make_batch(make_package(product), selection=DYNAMIC, source_versions=["1.0"])
    keys = list(product.devices.values_list("pk", flat=True))
    request_matches([(key, batch.module_id) for key in keys], is_new_version=True, now=LATER)
    check(lambda: match_once(now=LATER), "one_unfinished_task_per_device")


@pytest.mark.parametrize("look", [reconcile_batch, look_for_matches])
def test_sweepers(product: Product, running: Batch, look: Callable[..., int | None]) -> None:
    """Slice by slice through the open tasks or the devices."""
    batch = make_batch(make_package(product), selection=DYNAMIC, source_versions=["1.0"])
    target = running if look is reconcile_batch else batch
    check(lambda: look(batch_id=target.pk, after=0, now=LATER))
