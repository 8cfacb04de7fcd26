"""A batch of 10,000 devices: launch, push, cancel and every page take a bounded number of queries and of memory."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from batches_app.commands.cancel import cancel_batch
from batches_app.domain.states import CANCELED, QUEUED
from batches_app.engine.cancel import cancel_once
from batches_app.engine.launch import launch_once
from batches_app.engine.reconcile import reconcile_batch
from batches_app.engine.sweep import sweep_once
from batches_app.models import Batch
from devices_app.models import Device
from tests.api import Api
from tests.campaign import OPERATOR, launch, start
from tests.factories import NOW, make_devices, make_package, make_product, make_user
from tests.play import assert_counters_are_true, counts, push, record, said, version

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

MANY = 10_000
FEW = 20
SLICE = 1_000
PER_LAUNCH_SLICE = 16
PER_CANCEL_SLICE = 14
PER_PUSH = 24
"""Claim, record: a chunk of 500, whatever is behind it."""
PER_MESSAGES = 24
PER_PAGE = 20


def batch_of(device_count: int) -> Batch:
    """A batch over a product of its own, not written yet. A third of its devices is offline."""
    product = make_product()
    make_devices(product, device_count * 2 // 3)
    make_devices(product, device_count - device_count * 2 // 3, is_online=False)
    return start(make_package(product), NOW)


@contextmanager
def at_most(query_count: int) -> Iterator[None]:
    with CaptureQueriesContext(connection) as queries:
        yield
    texts = "\n".join(str(query["sql"])[:150] for query in queries.captured_queries)  # None: a prepared one
    assert len(queries) <= query_count, f"{len(queries)} queries:\n{texts}"


def until_done(step: Callable[[], bool], per_step: int) -> int:
    """Do a step until there is no more to do, each within its bound; how many steps it took."""
    for number in range(1, 100):
        with at_most(per_step):
            has_more = step()
        if not has_more:
            return number
    raise AssertionError("there is no end")


def test_launch_push_report_and_cancel_take_a_bounded_number_of_queries() -> None:
    """Per slice, chunk and micro-batch; what people ask for is answered at once, whatever the size."""
    batch = batch_of(MANY)

    def launch_slice() -> bool:
        return launch_once(batch_id=batch.pk, now=NOW, slice_size=SLICE)

    assert until_done(launch_slice, PER_LAUNCH_SLICE) <= MANY / SLICE + 2
    assert counts(batch) == {"queued": MANY, "queued_offline": 3_334}
    with at_most(PER_PUSH):
        assert record(push(batch)) == 500
    devices = Device.objects.select_related("product")[:1_000]
    reports = [version(device, "1.4") for device in devices]
    with at_most(PER_MESSAGES):
        said(*reports)
    with at_most(20):
        sweep_once(now=NOW)
    with at_most(20):
        assert cancel_batch(batch=batch.public_id, actor=OPERATOR, now=NOW).task_count == MANY

    def cancel_slice() -> bool:
        return cancel_once(batch_id=batch.pk, now=NOW, slice_size=SLICE)

    assert until_done(cancel_slice, PER_CANCEL_SLICE) <= MANY / SLICE + 3
    assert counts(batch) == {"canceled": MANY, "ever_notified": 500}
    assert_counters_are_true()


def addresses_of(batch: Batch) -> dict[str, str]:
    """Of every page that shows a batch."""
    package = batch.package.public_id
    return {
        **{name: reverse(f"batches:{name}", args=[batch.public_id]) for name in ("batch", "devices", "info")},
        **{
            name: reverse(f"batches:{name}", args=[package])
            for name in ("package", "package-batches", "package-devices", "launch")
        },
        "packages": reverse("packages:list"),
        "package info": reverse("packages:info", args=[package]),
        "batches": reverse("batches:list"),
        "queued devices": reverse("batches:devices", args=[batch.public_id]) + "?status=QUEUED",
    }


@pytest.fixture
def pages() -> Callable[[Batch], dict[str, Callable[[], int]]]:
    """Every page and list that shows a batch, as requests that answer their status."""
    user = make_user()
    client = Client()
    client.force_login(user)
    api = Api(user)

    def of(batch: Batch) -> dict[str, Callable[[], int]]:
        package = batch.package.public_id
        answers: dict[str, Callable[[], int]] = {
            name: lambda address=address: client.get(address).status_code  # type: ignore[misc]  # bound early
            for name, address in addresses_of(batch).items()
        }
        queries = {
            "api batch": (f"batches/{batch.public_id}/", {}),
            "api batches": ("batches/", {"package": package}),
            "api tasks": ("tasks/", {"batch": batch.public_id}),
            "api queued": ("tasks/", {"batch": batch.public_id, "status": "QUEUED"}),
            "api package": (f"packages/{package}/", {}),
        }
        for name, (path, query) in queries.items():
            answers[name] = lambda path=path, query=query: api.get(path, **query).status  # type: ignore[misc]  # as above
        return answers

    return of


def test_pages_take_as_many_queries_for_10000_devices_as_for_20(
    pages: Callable[[Batch], dict[str, Callable[[], int]]],
) -> None:
    """Counts are kept, lists are cut into pages: the size of the batch does not matter."""
    costs = []
    for device_count in (FEW, MANY):
        batch = batch_of(device_count)
        while launch_once(batch_id=batch.pk, now=NOW):
            pass
        record(push(batch, limit=FEW // 2))
        found = {}
        for name, ask in pages(batch).items():
            ask()
            with CaptureQueriesContext(connection) as queries:
                assert ask() in {200, 302}, name
            found[name] = len(queries)
        costs.append(found)
    few, many = costs
    assert {name: many[name] - few[name] for name in few if many[name] > few[name]} == {}
    assert {name: count for name, count in many.items() if count > PER_PAGE} == {}


def usual_peak(step: Callable[[], bool]) -> float:
    """Bytes that Python held at most in the usual step: the first one fills caches of the libraries."""
    peaks = []
    has_more = True
    tracemalloc.start()
    try:
        while has_more:
            gc.collect()
            tracemalloc.reset_peak()
            has_more = step()
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    return median(peaks[1:])


def peaks_of(batch: Batch) -> tuple[float, float]:
    """Of its launch and of its cancel."""
    launching = usual_peak(lambda: launch_once(batch_id=batch.pk, now=NOW, slice_size=SLICE))
    cancel_batch(batch=batch.public_id, actor=OPERATOR, now=NOW)
    canceling = usual_peak(lambda: cancel_once(batch_id=batch.pk, now=NOW, slice_size=SLICE))
    assert set(batch.tasks.values_list("status", flat=True).distinct()) == {CANCELED}
    return launching, canceling


def test_memory_does_not_grow_with_the_batch() -> None:
    """Launch and cancel of 10,000 devices hold no more than those of 2,000."""
    _, few, many = [peaks_of(batch_of(device_count)) for device_count in (2_000, 2_000, MANY)]  # the first warms caches
    assert many[0] < few[0] * 1.25, f"launch: {few[0]:,} bytes for 2,000, {many[0]:,} for 10,000"
    assert many[1] < few[1] * 1.25, f"cancel: {few[1]:,} bytes for 2,000, {many[1]:,} for 10,000"


def test_looking_again_at_10000_waiting_devices_takes_a_bounded_number_of_queries() -> None:
    """The sweepers read in slices too."""
    product = make_product()
    make_devices(product, MANY)
    batch = launch(make_package(product), NOW)
    with at_most(4):
        after = reconcile_batch(batch_id=batch.pk, after=0, now=NOW)
    assert after is not None
    assert batch.tasks.filter(status=QUEUED).count() == MANY
