"""A form's field as the console draws it: label, control, hint and errors, tied together for assistive technology."""

from typing import Any, Final

from django import template
from django.forms import BoundField
from django.forms.widgets import CheckboxInput, FileInput, Select

register = template.Library()

CLASSES: Final = ((CheckboxInput, "form-check-input"), (Select, "form-select"))


def _class_of(field: BoundField) -> str:
    for widget, name in CLASSES:
        if isinstance(field.field.widget, widget):
            return name
    return "form-control"


@register.inclusion_tag("components/_field.html")
def field(
    bound: BoundField, hint: str = "", note: str = "", *, label: str = "", mono: bool = False, **attrs: Any
) -> dict[str, Any]:
    """A labelled control. `note` follows the label in grey ("optional"); underscores in `attrs` become hyphens."""
    names = [_class_of(bound), "mono" if mono else ""]
    found = {name.replace("_", "-"): value for name, value in attrs.items()}
    described = [f"{bound.id_for_label}_hint" if hint else "", f"{bound.id_for_label}_error" if bound.errors else ""]
    found |= {"class": " ".join(filter(None, names))}
    if any(described):
        found["aria-describedby"] = " ".join(filter(None, described))
    if bound.errors:
        found["aria-invalid"] = "true"
    return {
        "bound": bound,
        "label": label or bound.label,
        "control": bound.as_widget(attrs=found),
        "hint": hint,
        "note": note,
        "is_file": isinstance(bound.field.widget, FileInput),
    }


@register.inclusion_tag("components/_errors.html")
def errors(bound: BoundField) -> dict[str, Any]:
    """The errors of a field that is drawn by hand."""
    return {"bound": bound}


@register.filter
def invalid(bound: BoundField) -> str:
    """Attributes of a control that is drawn by hand and is wrong."""
    return "true" if bound.errors else "false"
