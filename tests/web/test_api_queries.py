"""How many queries an answer of the API costs: the same at 2 rows and at 20, and no more than is written down."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test.utils import CaptureQueriesContext

from batches_app.domain.states import TaskStatus
from batches_app.models import Batch, TaskEvent
from devices_app.models import DeviceGroup, GroupMember
from ota_console.core.ids import new_public_id
from tests.api import Api
from tests.factories import NOW, make_batch, make_devices, make_package, make_product, make_task

BASELINE = Path(__file__).with_name("api_queries.json")
CountQueries = Callable[[str], int]


class Fleet:
    """So many of everything, and the addresses that show it."""

    def __init__(self, size: int) -> None:
        products = [make_product() for _ in range(size)]
        self.product = products[0]
        packages = [make_package(self.product) for _ in range(size)]
        batches = [make_batch(package) for package in packages]
        self.batch: Batch = batches[0]
        self.devices = make_devices(self.product, size)
        group = self._group()
        GroupMember.objects.bulk_create([GroupMember(group=group, device=device) for device in self.devices])
        for number, device in enumerate(self.devices):
            task = make_task(self.batch, device, TaskStatus(number % 7))
            make_task(batches[number], device, TaskStatus.SUCCEEDED, match_no=2)
            TaskEvent.objects.create(task=task, at=NOW, kind=0, status=0)
        batches[0].tags.create(position=1, key="a", value="b")
        self.paths = {
            "devices/{id}/": f"devices/{self.devices[0].public_id}/",
            "groups/{id}/members/": f"groups/{group.public_id}/members/",
            "packages/{id}/": f"packages/{packages[0].public_id}/",
            "batches/{id}/": f"batches/{self.batch.public_id}/",
            "batches/?package": f"batches/?package={packages[0].public_id}",
            "batches/?device": f"batches/?device={self.devices[0].public_id}",
            "tasks/?batch": f"tasks/?batch={self.batch.public_id}",
            "tasks/?batch&status": f"tasks/?batch={self.batch.public_id}&status=SUCCEEDED",
            "tasks/?device": f"tasks/?device={self.devices[0].public_id}",
            "tasks/{id}/": f"tasks/{self.batch.tasks.latest('pk').public_id}/",
        }

    def _group(self) -> DeviceGroup:
        facts = {"name": f"group-{self.product.pk}", "product": self.product, "created_at": NOW}
        return DeviceGroup.objects.create(public_id=new_public_id(), **facts)


def asked(fleet: Fleet) -> dict[str, str]:
    lists = ("products/", "modules/", "devices/", "devices/summary/", "groups/", "packages/", "batches/", "tasks/")
    return {**{path: path for path in lists}, **fleet.paths}


@pytest.fixture
def count(api: Api, django_assert_max_num_queries: Callable[[int], CaptureQueriesContext]) -> CountQueries:
    def counted(path: str) -> int:
        with django_assert_max_num_queries(1000) as queries:
            assert api.get(path).status == 200
        return len(queries)

    return counted


def test_the_number_of_queries_does_not_grow_with_the_rows(count: CountQueries) -> None:
    """And is the one that stands in `api_queries.json`; change it there when you mean to."""
    few = {name: count(path) for name, path in asked(Fleet(2)).items()}
    many = {name: count(path) for name, path in asked(Fleet(20)).items()}
    assert many == few
    assert many == json.loads(BASELINE.read_text())
