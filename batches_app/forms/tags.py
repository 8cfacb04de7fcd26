"""Pairs of tag key and value as they come from a form's rows."""

from collections.abc import Sequence

from django.http import QueryDict

Tags = tuple[tuple[str, str], ...]


def tags_of(data: QueryDict) -> Tags:
    """The rows that hold anything; half a pair stays, so that its mistake is named."""
    keys, values = data.getlist("tag_key"), data.getlist("tag_value")
    pairs = ((key.strip(), value) for key, value in zip(keys, values, strict=False))
    return tuple((key, value) for key, value in pairs if key or value)


def padded(tags: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """At least one row to type in."""
    return list(tags) or [("", "")]
