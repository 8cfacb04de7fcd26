"""What every view of the REST API shares: strict input, UTC times, who acts.

Input is strict on purpose: a misspelt field of a launch, or a misspelt filter, must be refused and not be ignored.
Nothing here knows a product, a package or a batch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, TypeVar

import orjson
from django.conf import settings
from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from django_filters.rest_framework import DjangoFilterBackend, TypedChoiceFilter, TypedMultipleChoiceFilter
from drf_spectacular.drainage import set_override
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from ota_console.audit.actor import Actor
from ota_console.core import clock
from ota_console.core.errors import Invalid

Row = TypeVar("Row", bound=Model)
PAGING_PARAMETERS: Final = frozenset({"cursor", "page_size", "format"})
TRANSPORT_FIELDS: Final = frozenset({"csrfmiddlewaretoken"})
"""What a browser's form sends beside its fields."""


class TooLarge(APIException):
    """The body is larger than any request needs."""

    status_code = 413
    default_code = "too_large"
    default_detail = "The request is too large."


class StrictJSONParser(BaseParser):
    """JSON of bounded size and depth, without what no database keeps: null characters and lone surrogates."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """The parsed body. Raises ParseError (400) and TooLarge (413)."""
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParseError(_("This is not JSON: %(reason)s.") % {"reason": error}) from error
        if b"\\u0000" in body and _has_null_character(parsed):
            raise ParseError(_("Null characters are not allowed."))
        return parsed


def _has_null_character(parsed: Any) -> bool:
    """Walks without recursion: the parser allows more depth than the interpreter's stack."""
    waiting = [parsed]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and "\0" in value:
            return True
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
    return False


class UtcDateTimeField(serializers.DateTimeField):
    """Times are read with their offset and written in UTC, whatever the person's own time zone is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=UTC, **kwargs)


class NameField(serializers.ChoiceField):
    """An integer choice by its name: programs read `IN_PROGRESS`, the database keeps 1."""

    def __init__(self, kinds: type[Enum], **kwargs: Any) -> None:
        self.kinds = kinds
        super().__init__(choices=[kind.name for kind in kinds], **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        """The member of that name."""
        return self.kinds[super().to_internal_value(data)]

    def to_representation(self, value: Any) -> str:
        """The name of the stored number."""
        return self.kinds(value).name


class StrictSerializer(serializers.Serializer[Any]):
    """Input that refuses fields it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        """As the base, after a look at the names."""
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in set(data) - set(self.fields) - TRANSPORT_FIELDS)
            if unknown:
                raise ValidationError({name: [_("There is no such field.")] for name in unknown[:20]})
        return super().to_internal_value(data)


class NameFilter(TypedChoiceFilter):
    """Filters an integer choice by its name."""

    def __init__(self, kinds: type[Enum], **kwargs: Any) -> None:
        names = [kind.name for kind in kinds]
        super().__init__(choices=[(name, name) for name in names], coerce=_by_name(kinds), **kwargs)
        set_override(self, "field", {"type": "string", "enum": names})


class NamesFilter(TypedMultipleChoiceFilter):
    """Filters an integer choice by one or more names: `?status=FAILED&status=CANCELED`."""

    def __init__(self, kinds: type[Enum], **kwargs: Any) -> None:
        names = [kind.name for kind in kinds]
        super().__init__(choices=[(name, name) for name in names], coerce=_by_name(kinds), **kwargs)
        set_override(self, "field", {"type": "string", "enum": names})


def _by_name(kinds: type[Enum]) -> Callable[[str], Any]:
    return lambda name: kinds[name].value


class StrictFilterBackend(DjangoFilterBackend):
    """Filters that refuse parameters they do not know."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Row], view: Any) -> QuerySet[Row]:
        """As the base, after a look at the names."""
        filterset_class = self.get_filterset_class(view, queryset)
        known: Iterable[str] = filterset_class.base_filters if filterset_class else ()
        unknown = set(request.query_params) - set(known) - PAGING_PARAMETERS
        if unknown:
            raise ValidationError({name: [_("There is no such filter.")] for name in sorted(unknown)[:20]})
        filtered: QuerySet[Row] = super().filter_queryset(request, queryset, view)
        return filtered


class ApiViewSet(GenericViewSet[Row]):
    """A view that translates and delegates: `read` the input, call a command as `actor`, answer."""

    list_serializer_class: type[BaseSerializer[Any]] | None = None
    """Of a row of the list, where that says less than the whole."""
    field_names: Mapping[str, str] = {}
    """How the API calls what commands name differently in their errors."""
    filter_backends = (StrictFilterBackend,)
    parser_classes: Sequence[type[BaseParser]] = (StrictJSONParser,)

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """Rows of the list may have their own."""
        if self.action == "list" and self.list_serializer_class is not None:
            return self.list_serializer_class
        return super().get_serializer_class()

    def actor(self) -> Actor:
        """Who calls."""
        user = self.request.user
        return Actor(user_id=user.pk, name=user.get_username())

    def now(self) -> datetime:
        """The present."""
        return clock.now()

    def handle_exception(self, exc: Exception) -> Response:
        """As the base, with the fields named as the API names them."""
        if isinstance(exc, Invalid):
            exc.errors = self.renamed(exc.errors)
            exc.field = exc.field or next(iter(exc.errors), None)
        return super().handle_exception(exc)

    def renamed(self, errors: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Errors under the names of the API."""
        return {self.field_names.get(name, name): sentences for name, sentences in errors.items()}

    def one(self, key: str, code: int = 200) -> Response:
        """The row that `key` names, as it is now."""
        self.kwargs[self.lookup_url_kwarg or self.lookup_field] = key
        return Response(self.get_serializer(self.get_object()).data, status=code)

    def read(self, serializer_class: type[serializers.Serializer[Any]], **context: Any) -> dict[str, Any]:
        """The validated body. Raises ValidationError."""
        serializer = serializer_class(data=self.request.data, context={**self.get_serializer_context(), **context})
        serializer.is_valid(raise_exception=True)
        data: dict[str, Any] = serializer.validated_data
        return data
