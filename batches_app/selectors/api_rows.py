"""What the API reads of tasks and device lists: rows that cursor paging can walk, whatever the size of a batch."""

from collections.abc import Sequence
from typing import Any, Final

from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext as _

from batches_app.domain.states import TaskStatus
from batches_app.models import DeviceList, Task, TaskEvent
from ota_console.core.errors import NotFound

MAX_HISTORY: Final = 1000
"""Lines of one task's history in an answer; a task has some dozens."""


def tasks() -> QuerySet[Task]:
    """Tasks with everything that the API says of one. One query a page."""
    related = ("batch__package", "batch__product", "device", "module", "blocker")
    return Task.objects.select_related(*related).order_by("-pk")


def task(public_id: str) -> Task:
    """One task with its history as `lines`, oldest first. Two queries. Raises `NotFound`."""
    lines = Prefetch("history", TaskEvent.objects.order_by("pk")[:MAX_HISTORY], to_attr="lines")
    found = tasks().prefetch_related(lines).filter(public_id=public_id).first()
    if found is None:
        raise NotFound("task_unknown", _("This device update does not exist."))
    return found


def bad_lines(public_id: str) -> str:
    """The lines that were left out of a device list, as CSV. Raises `NotFound`."""
    found = DeviceList.objects.filter(public_id=public_id).values_list("bad_lines", flat=True).first()
    if found is None:
        raise NotFound("device_list_unknown", _("There is no such device list."))
    return found


class StatusScans:
    """The tasks of one batch in the order of their keys, for cursor paging.

    No index orders a batch across its statuses, so each page is one short index scan per status, merged, and one read
    of its rows. Understands what `CursorPagination` asks of a queryset, and nothing more.
    """

    def __init__(self, scans: Sequence[QuerySet[Task, Any]], ordering: str = "-id") -> None:
        self._scans = scans
        self._ordering = ordering

    @classmethod
    def of(cls, rows: QuerySet[Task]) -> "StatusScans":
        """The scans of tasks that are already narrowed to one batch."""
        keys = rows.select_related(None).values_list("pk", flat=True)
        return cls([keys.filter(status=status) for status in TaskStatus])

    def order_by(self, ordering: str) -> "StatusScans":
        """By key, up or down."""
        return StatusScans([scan.order_by(ordering) for scan in self._scans], ordering)

    def filter(self, **lookups: Any) -> "StatusScans":
        """From a key on."""
        return StatusScans([scan.filter(**lookups) for scan in self._scans], self._ordering)

    def __getitem__(self, window: slice) -> list[Task]:
        keys = [key for scan in self._scans for key in scan[: window.stop]]
        keys.sort(reverse=self._ordering.startswith("-"))
        return list(tasks().filter(pk__in=keys[window]).order_by(self._ordering))
