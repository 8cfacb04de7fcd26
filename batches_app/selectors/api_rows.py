"""What the API reads of tasks and device lists: rows that cursor paging can walk, whatever the size of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext as _

from batches_app.domain.states import TaskStatus
from batches_app.models import Batch, DeviceList, Task, TaskEvent
from batches_app.selectors.history import with_ends
from batches_app.sql.task_pages import Bound, page_keys
from devices_app.models import Device
from devices_app.selectors import product_ids
from ota_console.core.errors import NotFound

MAX_SCANS: Final = 490
"""SQLite joins at most 500 scans; more batches than that are read without them."""
_OPERATORS: Final = {"id__lt": "<", "id__gt": ">"}
MAX_HISTORY: Final = 1000
"""Lines of one task's history in an answer; a task has some dozens."""


def tasks() -> QuerySet[Task]:
    """Tasks with everything that the API says of one. One query a page."""
    related = ("batch__package", "batch__product", "device", "module", "blocker")
    return Task.objects.select_related(*related).order_by("-pk")


def task(public_id: str) -> Task:
    """One task with its history as `lines`, oldest first. Two queries, or three. Raises `NotFound`."""
    lines = Prefetch("history", TaskEvent.objects.order_by("pk")[:MAX_HISTORY], to_attr="lines")
    found = tasks().select_related("batch__canceled_by").prefetch_related(lines).filter(public_id=public_id).first()
    if found is None:
        raise NotFound("task_unknown", _("This device update does not exist."))
    found.lines = with_ends(found, found.lines)
    return found


def bad_lines(public_id: str) -> str:
    """The lines that were left out of a device list, as CSV. Raises `NotFound`."""
    found = DeviceList.objects.filter(public_id=public_id).values_list("bad_lines", flat=True).first()
    if found is None:
        raise NotFound("device_list_unknown", _("There is no such device list."))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuery:
    """Which tasks a program asks for. Empty: all. Public ids."""

    batch: str = ""
    package: str = ""
    product_key: str = ""
    device: str = ""
    device_name: str = ""
    statuses: tuple[TaskStatus, ...] = ()


def task_list(wanted: TaskQuery) -> "QuerySet[Task] | TaskScans":
    """The tasks asked for, ready for cursor paging by key.

    What is named is looked up first, so that the database plans with keys: a page costs a few short index scans,
    whatever the number of tasks.
    """
    batch_ids = _batch_ids(wanted)
    device_ids = _device_ids(wanted)
    scans = len(batch_ids or ()) * len(wanted.statuses or TaskStatus)
    if device_ids is None and batch_ids is not None and scans <= MAX_SCANS:
        return TaskScans(tuple(product(batch_ids, wanted.statuses or TaskStatus)))
    rows = tasks()
    if device_ids is not None:
        rows = rows.filter(device_id__in=device_ids)
    if batch_ids is not None:
        rows = rows.filter(batch_id__in=batch_ids)
    return rows.filter(status__in=wanted.statuses) if wanted.statuses else rows


def _batch_ids(wanted: TaskQuery) -> list[int] | None:
    """None: any batch."""
    given = {
        "public_id": wanted.batch,
        "package__public_id": wanted.package,
        "product__product_key": wanted.product_key,
    }
    lookups = {lookup: value for lookup, value in given.items() if value}
    return list(Batch.objects.filter(**lookups).order_by().values_list("pk", flat=True)) if lookups else None


def _device_ids(wanted: TaskQuery) -> list[int] | None:
    """None: any device. A name is looked up in each product, since names are unique there and indexed so."""
    if not wanted.device and not wanted.device_name:
        return None
    rows = Device.objects.order_by()
    if wanted.device:
        rows = rows.filter(public_id=wanted.device)
    if wanted.device_name:
        rows = rows.filter(product_id__in=product_ids(wanted.product_key), name=wanted.device_name)
    return list(rows.values_list("pk", flat=True))


class TaskScans:
    """The tasks of some batches in some statuses in the order of their keys, as `CursorPagination` reads a queryset.

    A page is two queries, whatever the size of the batches: `sql.task_pages`, and its rows.
    """

    def __init__(
        self, pairs: Sequence[tuple[int, TaskStatus]], ordering: str = "-id", bound: Bound | None = None
    ) -> None:
        self._pairs = pairs
        self._ordering = ordering
        self._bound = bound

    def order_by(self, ordering: str) -> "TaskScans":
        """By key, up or down."""
        return TaskScans(self._pairs, ordering, self._bound)

    def filter(self, **lookups: Any) -> "TaskScans":
        """From a key on: `id__lt` or `id__gt`."""
        ((lookup, key),) = lookups.items()
        return TaskScans(self._pairs, self._ordering, (_OPERATORS[lookup], int(key)))

    def __getitem__(self, window: slice) -> list[Task]:
        is_descending = self._ordering.startswith("-")
        keys = page_keys(self._pairs, bound=self._bound, is_descending=is_descending, limit=window.stop)
        return list(tasks().filter(pk__in=keys[window]).order_by(self._ordering))
