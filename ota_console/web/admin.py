"""Bases for the admin of every app: it shows, and changes nothing, since state is changed by commands alone."""

from functools import cached_property
from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

MOST_ROWS: Final = 10_000
"""What a list counts and pages through; who needs more searches. Counting millions would keep everybody waiting."""


class BoundedPaginator(Paginator[Any]):
    """Counts no further than it shows."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_ROWS].count())


class ReadOnlyMixin:
    """No adding, no changing, no deleting; every field is shown."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnlyMixin, ModelAdmin):
    show_full_result_count = False
    list_per_page = 50
    paginator = BoundedPaginator


class ReadOnlyInline(ReadOnlyMixin, TabularInline):
    extra = 0
    show_change_link = True
