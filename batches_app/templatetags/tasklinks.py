"""Addresses of filtered lists of device updates, and what their counts add up to."""

from typing import Any

from django import template

from batches_app.filters import add_to_query
from batches_app.selectors.counts import Counts

register = template.Library()


@register.simple_tag(takes_context=True)
def filtered(context: dict[str, Any], **values: str) -> str:
    """This page's address with other filters, from its first row."""
    return add_to_query(context["request"].GET, **values)


@register.filter
def has_state(shown: str, name: str) -> bool:
    """Whether a state is among the shown ones; a form of To Be Pushed counts as it."""
    names = shown.split(",")
    return name in names or (name == "QUEUED" and shown.startswith("QUEUED_"))


@register.simple_tag
def count_names(shown: str) -> str:
    """The counters of the shown rows, as the page's script adds them up."""
    return shown.replace(",", "+") or "all"


@register.simple_tag
def count_sum(shown: str, counts: Counts) -> int:
    """How many rows there are."""
    return sum(counts.get(name, 0) for name in (shown or "all").split(","))
