"""Choices of the launch form that are drawn by hand: which radio or box is on."""

from collections.abc import Sequence

from django import forms, template
from django.utils.safestring import SafeString, mark_safe

from batches_app.selectors.choices import TestDevice

register = template.Library()


@register.simple_tag
def chosen(form: forms.Form, name: str, value: str) -> SafeString:
    """` checked` where the field has this value, typed or initial."""
    return mark_safe(" checked" if str(form[name].value()) == value else "")  # noqa: S308 - a constant


@register.simple_tag
def checked(form: forms.Form, name: str) -> SafeString:
    """` checked` where the box is on."""
    return mark_safe(" checked" if form[name].value() else "")  # noqa: S308 - a constant


@register.simple_tag
def other_names(names: Sequence[str], devices: Sequence[TestDevice]) -> str:
    """The typed names that have no box of their own, one a line."""
    boxes = {device.name for device in devices}
    return "\n".join(name for name in names if name not in boxes)
