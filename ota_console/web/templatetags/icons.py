"""Icons as references into one sprite per page, made from the Tabler icons that the console uses.

Exists so that a table of a hundred rows carries each drawing once. Must not load an icon that is not listed: a
page pays for the list.
"""

import re
from functools import cache
from pathlib import Path
from typing import Final

from django import template
from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

OUTLINE: Final = frozenset(
    {
        "alert-triangle",
        "arrow-down",
        "arrow-right",
        "arrow-up",
        "ban",
        "calendar-event",
        "check",
        "chevron-down",
        "chevron-left",
        "chevron-right",
        "circle-arrow-up",
        "circle-check",
        "circle-dashed",
        "circle-dashed-check",
        "clock",
        "copy",
        "cpu",
        "device-desktop",
        "dots",
        "download",
        "edit",
        "file-upload",
        "hourglass",
        "info-circle",
        "list-check",
        "lock",
        "logout",
        "menu-2",
        "minus",
        "moon",
        "package",
        "player-pause",
        "player-play",
        "plug-connected-x",
        "plus",
        "refresh",
        "search",
        "send",
        "stack-2",
        "sun",
        "trash",
        "upload",
        "user-question",
        "wifi",
        "wifi-off",
        "x",
    }
)
FILLED: Final = frozenset({"circle-x"})
"""Drawn solid; named with the suffix `-filled`."""

_BODY: Final = re.compile(r"<svg.*?>(.*)</svg>", re.DOTALL)
_FRAME: Final = re.compile(r'\s*<path stroke="none" d="M0 0h24v24H0z" fill="none" />')


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """A decorative icon (hidden from assistive technology). `size`: "" 16 px, "sm" 14 px, "lg" 20 px."""
    if name not in OUTLINE and name.removesuffix("-filled") not in FILLED:
        message = f"The icon {name!r} is not in the sprite: add it to web.templatetags.icons."
        raise ValueError(message)
    return format_html('<svg class="i {}" aria-hidden="true"><use href="#i-{}"/></svg>', size, name)


@register.simple_tag
def icon_sprite() -> SafeString:
    """The drawings themselves, once per page."""
    return _sprite(str(settings.NODE_MODULES))


@cache
def _sprite(node_modules: str) -> SafeString:
    folder = Path(node_modules) / "@tabler" / "icons" / "icons"
    symbols = [
        _symbol(folder / "outline" / f"{name}.svg", name, 'fill="none" stroke="currentColor"')
        for name in sorted(OUTLINE)
    ]
    symbols += [
        _symbol(folder / "filled" / f"{name}.svg", f"{name}-filled", 'fill="currentColor" stroke="none"')
        for name in sorted(FILLED)
    ]
    return mark_safe(f'<svg class="sprite" width="0" height="0" aria-hidden="true">{"".join(symbols)}</svg>')  # noqa: S308 - our own pinned icon files


def _symbol(path: Path, name: str, paint: str) -> str:
    """Empty where the npm packages are not installed: pages work without pictures, and `check` says what is missing."""
    if not path.is_file():
        return ""
    body = _BODY.search(path.read_text(encoding="utf-8"))
    drawing = _FRAME.sub("", body.group(1)) if body else ""
    drawing = re.sub(r"\s+", " ", drawing).strip()
    ends = 'stroke-linecap="round" stroke-linejoin="round"'
    return f'<symbol id="i-{name}" viewBox="0 0 24 24" {paint} {ends}>{drawing}</symbol>'
