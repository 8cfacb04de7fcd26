"""The frame around every page: navigation, and the words and looks that the browser's own modules need.

Lists only pages that exist: an entry whose address is unknown is left out, so none is ever dead.
"""

from typing import Any, Final, NamedTuple

from django import template
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.html import json_script
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ota_console.web.templatetags.states import SETS

register = template.Library()


class Entry(NamedTuple):
    """A place to go. `key` follows "g" on the keyboard; `prefix` marks the addresses that belong to it."""

    label: str | Promise
    icon: str
    url_name: str
    prefix: str
    key: str
    is_for_staff: bool = False


NAVIGATION: Final[tuple[tuple[str | Promise, tuple[Entry, ...]], ...]] = (
    (
        gettext_lazy("Maintenance"),
        (
            Entry(gettext_lazy("OTA Update"), "package", "packages:list", "/ota/packages/", "o"),
            Entry(gettext_lazy("Batches"), "stack-2", "batches:list", "/ota/batches/", "b"),
        ),
    ),
    (gettext_lazy("Fleet"), (Entry(gettext_lazy("Devices"), "cpu", "devices:list", "/devices/", "d"),)),
    (
        gettext_lazy("System"),
        (Entry(gettext_lazy("Administration"), "list-check", "admin:index", "/admin/", "a", True),),
    ),
)


def _address(url_name: str) -> str:
    try:
        return reverse(url_name)
    except NoReverseMatch:
        return ""


@register.inclusion_tag("components/_navigation.html", takes_context=True)
def navigation(context: dict[str, Any]) -> dict[str, Any]:
    """The side bar's groups with the entries that this user may open."""
    request: HttpRequest | None = context.get("request")
    path = request.path if request else ""
    user = getattr(request, "user", None)
    is_staff = bool(user is not None and user.is_staff)
    groups = []
    for title, entries in NAVIGATION:
        shown = [
            {"entry": entry, "href": _address(entry.url_name), "is_current": path.startswith(entry.prefix)}
            for entry in entries
            if (is_staff or not entry.is_for_staff) and _address(entry.url_name)
        ]
        if shown:
            groups.append({"title": title, "entries": shown})
    return {"groups": groups}


@register.simple_tag
def browser_words() -> SafeString:
    """What `words.js` says, in the page's language."""
    words = {
        "seconds_ago": _("%(count)s s ago"),
        "minutes_ago": _("%(count)s min ago"),
        "close": _("Close"),
        "copied": _("Copied %(text)s"),
        "not_copied": _("Not copied. The browser refused access to the clipboard."),
        "not_sent": _("Not sent. The server did not answer; nothing was changed. Try again."),
        "not_done": _(
            "Not done. The server answered with status %(status)s; nothing was changed. Reload the page and try again."
        ),
        "selected": _("%(count)s selected"),
        "uploading": _("%(done)s of %(total)s MB, %(percent)s %%, about %(left)s s left").replace("%%", "%"),
        "checking": _("All bytes have arrived. Checking and storing …"),
        "uploaded": _("The update package is stored."),
        "stopped": _("Upload stopped. Nothing was stored."),
        "counts_as_of": _("counts as of %(time)s"),
        "counts_are_from": _("Counts are from %(time)s."),
        "no_devices": _("No devices yet"),
        "announce": _("%(updated)s updated, %(failed)s failed"),
        "launching": _("%(done)s of %(total)s device updates written"),
        "canceling": _("%(done)s done"),
        "newer": _("%(count)s more, refresh"),
    }
    return json_script(words, "browser-words")


@register.simple_tag
def state_looks() -> SafeString:
    """How states are drawn, for `live-draw.js`."""
    looks = {
        of: {name: {"kind": look.kind, "icon": look.icon, "label": str(look.label)} for name, look in table.items()}
        for of, table in SETS.items()
    }
    return json_script(looks, "state-looks")
