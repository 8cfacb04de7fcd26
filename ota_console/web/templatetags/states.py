"""How a state looks: icon, colour class and the seed's label, the same on every page. Colour always means a state.

Knows states by their names only; what a state means is decided in the apps below no template.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from django import template
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ota_console.web.templatetags.icons import icon

register = template.Library()


class Look(NamedTuple):
    """What a state is drawn with. `kind` names the colour: `.k-<kind>` in the style sheet."""

    kind: str
    icon: str
    label: str | Promise


TASK: Final[dict[str, Look]] = {
    "CONFIRM": Look("confirm", "user-question", _("Pending Confirmation")),
    "QUEUED": Look("queued", "clock", _("To Be Pushed")),
    "NOTIFIED": Look("pushed", "send", _("Pushed")),
    "IN_PROGRESS": Look("upg", "circle-arrow-up", _("Upgrading")),
    "SUCCEEDED": Look("ok", "circle-check", _("Updated")),
    "FAILED": Look("fail", "circle-x-filled", _("Update failed")),
    "CANCELED": Look("cancel", "ban", _("Canceled")),
}
"""The seven states of a device update, in the seed's order."""

BATCH: Final[dict[str, Look]] = {
    "PLANNED": Look("queued", "calendar-event", _("Planned")),
    "IN_PROGRESS": Look("upg", "circle-arrow-up", _("Upgrading")),
    "PAUSED": Look("confirm", "player-pause", _("Paused")),
    "COMPLETED": Look("ok", "check", _("Completed")),
    "CANCELED": Look("cancel", "ban", _("Canceled")),
}

PACKAGE: Final[dict[str, Look]] = {
    "VERIFICATION_NOT_REQUIRED": Look("queued", "minus", _("Verification not required")),
    "NOT_VERIFIED": Look("queued", "circle-dashed", _("Not verified")),
    "VERIFIED": Look("ok", "circle-check", _("Verified")),
    "VERIFYING": Look("upg", "circle-dashed-check", _("Verifying")),
    "VERIFICATION_FAILED": Look("fail", "circle-x-filled", _("Verification failed")),
}

SETS: Final = {"task": TASK, "batch": BATCH, "package": PACKAGE}

BAR_ORDER: Final = ("SUCCEEDED", "FAILED", "CANCELED", "IN_PROGRESS", "NOTIFIED", "QUEUED", "CONFIRM")
"""Ended states first, so that the left part of a bar reads as "finished"."""


@register.filter
def words(text: str) -> list[str]:
    """A list written in a template: "A B C"|words."""
    return text.split()


@register.filter
def of(counts: Mapping[str, int], name: str) -> int:
    """One of the counters."""
    return counts.get(name, 0)


@register.simple_tag
def state(of: str, name: str, detail: str = "", *, pill: bool = False) -> SafeString:
    """Icon and label of a `task`, `batch` or `package` state, `detail` beside it in grey. `pill`: page headers."""
    look = SETS[of][name]
    return format_html(
        '<span class="{} k-{}" data-state="{}">{}<span class="l"><span class="w" data-label>{}</span>{}</span></span>',
        "pill" if pill else "st",
        look.kind,
        name,
        icon(look.icon),
        look.label,
        format_html(' <span class="r" data-detail>{}</span>', detail),
    )


@register.simple_tag
def state_icon(of: str, name: str, size: str = "") -> SafeString:
    """The icon alone, where its label stands beside it already."""
    look = SETS[of][name]
    return format_html('<span class="k-{}">{}</span>', look.kind, icon(look.icon, size))


@register.simple_tag
def state_label(of: str, name: str) -> str:
    """The seed's label alone."""
    return str(SETS[of][name].label)


@register.simple_tag
def state_kind(of: str, name: str) -> str:
    """The colour class of a state."""
    return f"k-{SETS[of][name].kind}"


@register.simple_tag
def bar(counts: Mapping[str, int], size: str = "") -> SafeString:
    """The segmented bar of a batch or package; a state with any device is at least 3 px wide. "lg": 16 px, else 10.

    Widths are SVG attributes, not styles: a strict content security policy allows them. States without devices stay in
    the document, hidden, so that live frames can grow them.
    """
    whole = max(1, counts.get("all", 0))
    segments = format_html_join(
        "",
        '<svg class="k-{}" data-seg="{}" width="{}%"{}></svg>',
        (
            (
                TASK[name].kind,
                name,
                f"{100 * counts.get(name, 0) / whole:.3f}",
                "" if counts.get(name, 0) else SafeString(" hidden"),
            )
            for name in BAR_ORDER
        ),
    )
    said = ", ".join(f"{TASK[name].label} {counts.get(name, 0):,}" for name in BAR_ORDER if counts.get(name, 0))
    return format_html(
        '<div class="seg {}" role="img" aria-label="{}" data-bar>{}</div>', size, said or _("No devices yet"), segments
    )
