"""What the addresses of lists say: filters of device updates and of batches, from and to the query string.

Unknown values are ignored, as a link may be older than the page. The API filters by its own classes.
"""

from typing import Any, Final

import django_filters
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.models import Batch, Task
from batches_app.selectors.api_rows import TaskQuery, task_list
from batches_app.selectors.task_rows import FORMS, TaskFilter
from devices_app.models import Device
from devices_app.selectors import product_ids
from ota_console.web.rest import NameFilter, NamesFilter

MAX_SEARCH_LENGTH: Final = 64


def task_filter(query: QueryDict) -> TaskFilter:
    """`?state=FAILED,CANCELED&reason=TIMEOUT&source=1.0&q=name`; a form of To Be Pushed may stand as the state."""
    names = [name for name in query.get("state", "").split(",") if name]
    form = names[0] if len(names) == 1 and names[0] in FORMS else ""
    states = tuple(TaskStatus[name] for name in dict.fromkeys(names) if name in TaskStatus.__members__)
    reason = query.get("reason", "")
    return TaskFilter(
        states=states,
        form=form,
        reason=Reason[reason] if reason in Reason.__members__ and reason != "NONE" else None,
        source_version=query.get("source", "")[:MAX_SEARCH_LENGTH],
        search=query.get("q", "").strip()[:MAX_SEARCH_LENGTH],
    )


def shown_names(wanted: TaskFilter) -> str:
    """The shown states as the page's script knows them: "FAILED,CANCELED"; empty for all."""
    return wanted.form or ",".join(state.name for state in wanted.states)


def add_to_query(query: QueryDict, **values: str) -> str:
    """The query string with values set, from its first page, without an open dialog. Empty values are left out."""
    changed = query.copy()
    for name in ("after", "dialog", "task"):
        changed.pop(name, None)
    for name, value in values.items():
        changed.pop(name, None)
        if value:
            changed[name] = value
    return f"?{changed.urlencode(safe=',')}"


class BatchFilter(django_filters.FilterSet):
    """The list of all batches."""

    q = django_filters.CharFilter(method="search")
    state = django_filters.ChoiceFilter(
        choices=[
            ("PLANNED", _("Planned")),
            ("IN_PROGRESS", _("Upgrading")),
            ("PAUSED", _("Paused")),
            ("COMPLETED", _("Completed")),
            ("CANCELED", _("Canceled")),
        ],
        method="by_state",
    )
    kind = django_filters.ChoiceFilter(choices=Batch.Kind.choices, field_name="kind")
    selection = django_filters.ChoiceFilter(choices=Batch.Selection.choices, field_name="selection")

    class Meta:
        model = Batch
        fields = ("q", "state", "kind", "selection")

    def search(self, rows: QuerySet[Batch], _name: str, value: str) -> QuerySet[Batch]:
        """Batch id, title, or the name of its package."""
        words = value.strip()[:MAX_SEARCH_LENGTH]
        return rows.filter(Q(public_id=words) | Q(title__icontains=words) | Q(package__name__icontains=words))

    def by_state(self, rows: QuerySet[Batch], _name: str, value: str) -> QuerySet[Batch]:
        """Paused is a flag on Upgrading (rules.md §3)."""
        if value == "PAUSED":
            return rows.filter(status=BatchStatus.IN_PROGRESS, paused_at__isnull=False)
        return rows.filter(status=BatchStatus[value])


class BatchApiFilter(django_filters.FilterSet):
    """The API's filters of batches: names, not numbers. Unknown values are refused."""

    package = django_filters.CharFilter(field_name="package__public_id", label="Id of an update package.")
    product_key = django_filters.CharFilter(field_name="product__product_key")
    device = django_filters.CharFilter(method="with_device", label="Id of a device that has a task in the batch.")
    device_name = django_filters.CharFilter(
        method="with_device_name", label="Name of a device that has a task in the batch; best with `product_key`."
    )
    status = NamesFilter(BatchStatus)
    kind = NameFilter(Batch.Kind)
    selection = NameFilter(Batch.Selection)

    class Meta:
        model = Batch
        fields = ("package", "product_key", "device", "device_name", "status", "kind", "selection")

    def with_device(self, rows: QuerySet[Batch], _name: str, value: str) -> QuerySet[Batch]:
        """By the index (device, id) of tasks."""
        return rows.filter(pk__in=Task.objects.filter(device__public_id=value).values("batch_id"))

    def with_device_name(self, rows: QuerySet[Batch], _name: str, value: str) -> QuerySet[Batch]:
        """As `with_device`, of the product that is filtered by, or of any."""
        products = product_ids(self.form.cleaned_data["product_key"])
        wanted = list(Device.objects.filter(product_id__in=products, name=value).values_list("pk", flat=True))
        return rows.filter(pk__in=Task.objects.filter(device_id__in=wanted).values("batch_id"))


class TaskApiFilter(django_filters.FilterSet):
    """The API's filters of device updates. What they select is the selector's matter: it knows the indexes."""

    batch = django_filters.CharFilter(label="Id of a batch.")
    package = django_filters.CharFilter(label="Id of an update package.")
    product_key = django_filters.CharFilter()
    device = django_filters.CharFilter(label="Id of a device.")
    device_name = django_filters.CharFilter(label="Name of a device; of any product, unless `product_key` is given.")
    status = NamesFilter(TaskStatus)

    class Meta:
        model = Task
        fields = ("batch", "package", "product_key", "device", "device_name", "status")

    def filter_queryset(self, queryset: QuerySet[Task]) -> Any:
        """A queryset, or what pages like one."""
        wanted = dict(self.form.cleaned_data)
        statuses = tuple(TaskStatus(status) for status in wanted.pop("status"))
        return task_list(TaskQuery(**wanted, statuses=statuses))
