"""How many queries a page costs: the same at 2 rows and at 20, and no more than is written down."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test.utils import CaptureQueriesContext

from batches_app.domain.states import TaskStatus
from tests.factories import make_batch, make_devices, make_package, make_product, make_task, make_user
from tests.pages import Console

BASELINE = Path(__file__).with_name("page_queries.json")
CountQueries = Callable[[str], int]


def pages(size: int) -> dict[str, str]:
    """So many of everything, and the addresses that show it."""
    product = make_product()
    packages = [make_package(product) for _ in range(size)]
    batches = [make_batch(package) for package in packages for _ in range(2)]
    devices = make_devices(product, size)
    for number, device in enumerate(devices):
        make_task(batches[0], device, TaskStatus((number + 4) % 7))
        make_task(batches[1], device, TaskStatus.SUCCEEDED)
    batches[0].tags.create(position=1, key="a", value="b")
    package, batch = packages[0].public_id, batches[0].public_id
    return {
        "packages": "/ota/packages/",
        "upload": "/ota/packages/new/",
        "package batches": f"/ota/packages/{package}/batches/",
        "package devices": f"/ota/packages/{package}/devices/",
        "package info": f"/ota/packages/{package}/info/",
        "launch": f"/ota/packages/{package}/launch/",
        "batches": "/ota/batches/",
        "batch devices": f"/ota/batches/{batch}/devices/",
        "batch devices by status": f"/ota/batches/{batch}/devices/?state=SUCCEEDED,FAILED",
        "batch devices with a drawer": f"/ota/batches/{batch}/devices/?device={devices[1].name}",
        "batch info": f"/ota/batches/{batch}/info/",
        "cancel dialog": f"/ota/batches/{batch}/devices/?dialog=cancel",
        "devices": "/devices/",
    }


@pytest.fixture
def count(db: None, django_assert_max_num_queries: Callable[[int], CaptureQueriesContext]) -> CountQueries:
    console = Console(make_user())

    def counted(path: str) -> int:
        console.get(path)
        with django_assert_max_num_queries(1000) as queries:
            assert console.get(path).status == 200
        return len(queries)

    return counted


def test_the_number_of_queries_does_not_grow_with_the_rows(count: CountQueries) -> None:
    """And is the one that stands in `page_queries.json`; change it there when you mean to."""
    few = {name: count(path) for name, path in pages(2).items()}
    many = {name: count(path) for name, path in pages(20).items()}
    assert many == few
    assert many == json.loads(BASELINE.read_text())
