"""Keyset paging for lists of any length: no OFFSET, no COUNT. The API's form is `{"results", "next", "previous"}`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from rest_framework import pagination
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

Row = TypeVar("Row", bound=Model)
MAX_PAGE_SIZE = 1000
"""One answer of the API; a bigger list is read by following `next`."""
MAX_KEY_DIGITS = 18
"""Of a database key."""


class CursorPagination(pagination.CursorPagination):
    """DRF's cursor pagination, newest first; a view may set another unique `ordering`."""

    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
    ordering: Any = "-id"

    def decode_cursor(self, request: Request) -> pagination.Cursor | None:
        """The place that the cursor names. Raises ValidationError where it was not made here: positions are keys."""
        try:
            cursor = super().decode_cursor(request)
        except NotFound as error:
            raise _bad_cursor() from error
        if cursor is None or (cursor.position is None and cursor.reverse):
            return cursor
        if not _is_key(str(cursor.position)):
            raise _bad_cursor()
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link(), "previous": self.get_previous_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        properties: Mapping[str, Any] = {"results": schema, "next": link, "previous": link}
        return {"type": "object", "required": list(properties), "properties": dict(properties)}


def _is_key(position: str) -> bool:
    return position.isascii() and position.isdigit() and len(position) <= MAX_KEY_DIGITS


def _bad_cursor() -> ValidationError:
    return ValidationError({"cursor": [_("This cursor is not valid. Start again without it.")]})


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows of one page of a console list, and the keys that lead to its neighbours (None: there is none)."""

    rows: list[Row]
    next_key: int | None
    previous_key: int | None


def page_by_key(
    rows: "QuerySet[Row]",
    *,
    size: int,
    after: int | None = None,
    before: int | None = None,
    is_descending: bool = True,
) -> Page[Row]:
    """One page of `rows` in the order of their primary keys, from behind `after` or up to `before`."""
    is_backwards = before is not None
    key = before if is_backwards else after
    goes_down = is_descending != is_backwards
    selected = rows
    if key is not None:
        selected = selected.filter(pk__lt=key) if goes_down else selected.filter(pk__gt=key)
    found = list(selected.order_by("-pk" if goes_down else "pk")[: size + 1])
    has_more, found = len(found) > size, found[:size]
    if is_backwards:
        found.reverse()
    has_next = has_more if not is_backwards else True
    has_previous = has_more if is_backwards else after is not None
    return Page(
        rows=found,
        next_key=found[-1].pk if found and has_next else None,
        previous_key=found[0].pk if found and has_previous else None,
    )
