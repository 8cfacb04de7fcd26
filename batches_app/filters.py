"""What the addresses of lists say: filters of device updates and of batches, from and to the query string.

Unknown values are ignored, as a link may be older than the page. The API filters by its own classes.
"""

from typing import Final

import django_filters
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.models import Batch
from batches_app.selectors.task_rows import FORMS, TaskFilter

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
    """The query string with values set (an empty one is left out), starting at its first page, without an open dialog."""
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
        choices=[("PLANNED", _("Planned")), ("IN_PROGRESS", _("Upgrading")), ("PAUSED", _("Paused"))]
        + [("COMPLETED", _("Completed")), ("CANCELED", _("Canceled"))],
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
