"""Numbers, times, versions and ids as the console writes them: 118,402 · 10.3 % · 18 s ago · 4.9.2 → 4.12.0.

Formatting only: nothing here reads the database or decides anything.
"""

from datetime import UTC, datetime
from typing import Final

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ota_console.core.clock import now as utc_now
from ota_console.web.templatetags.icons import icon

register = template.Library()

MINUTE: Final = 60
HOUR: Final = 3600
KILO: Final = 1000
SHORT_ID_LENGTH: Final = 14


@register.filter
def grouped(value: int | None) -> str:
    """118402 → 118,402; nothing → –."""
    return "–" if value is None else f"{value:,}"


@register.filter
def up_to(least: int, most: int) -> str:
    """13 to 60; one number where both are equal."""
    if least == most:
        return grouped(most)
    return _("%(least)s to %(most)s") % {"least": grouped(least), "most": grouped(most)}


@register.filter
def percent_of(part: int, whole: int) -> str:
    """A share with one decimal: 10.3 %."""
    return f"{100 * part / whole:.1f} %" if whole else "0.0 %"


@register.filter
def percent_words(value: int | None) -> str:
    """70 → "70 %"."""
    return "" if value is None else f"{value} %"


@register.filter
def positive(value: int) -> int:
    """Without its sign."""
    return abs(value)


@register.filter
def whole(value: str) -> int:
    """A number that a template computed as text."""
    return round(float(value))


@register.filter
def filesize(value: int | None) -> str:
    """Decimal units, as operators compare them with download volumes: 14.6 MB."""
    if value is None:
        return "–"
    size = float(value)
    for unit in ("bytes", "KB"):
        if size < KILO:
            return f"{size:.0f} {unit}"
        size /= KILO
    for unit in ("MB", "GB"):
        if size < KILO:
            return f"{size:.1f} {unit}"
        size /= KILO
    return f"{size:.1f} TB"


@register.filter
def short_id(value: str) -> str:
    """wahVIzGkCMuAUE2gDERM02400 → wahVIz…2400."""
    return value if len(value) <= SHORT_ID_LENGTH else f"{value[:6]}…{value[-4:]}"


@register.filter
def clock_time(value: datetime | None) -> str:
    """Time of day in the operator's zone: 03:07:42."""
    return "" if value is None else date_format(timezone.localtime(value), "H:i:s")


@register.filter
def scheduled(value: datetime | None) -> str:
    """The seed's own form for a scheduled push: YYYY/MM/DD hh:mm:ss."""
    return "" if value is None else timezone.localtime(value).strftime("%Y/%m/%d %H:%M:%S")


@register.filter
def full_time(value: datetime | None) -> str:
    """12 Mar 2026 02:20:00 in the operator's zone."""
    return "" if value is None else date_format(timezone.localtime(value), "j M Y H:i:s")


@register.simple_tag
def ago(value: datetime | None) -> SafeString | str:
    """A time near now: "18 s ago" below an hour, then the clock, then the date; exact UTC on hover. It ticks."""
    if value is None:
        return "–"
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        value.isoformat(),
        exact_utc(value),
        relative(value, utc_now()),
    )


@register.simple_tag
def moment(value: datetime | None) -> SafeString | str:
    """A fixed time, short: 12 Mar 02:20, with exact UTC on hover."""
    if value is None:
        return "–"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', value.isoformat(), exact_utc(value), day_and_time(value)
    )


@register.filter
def short_time(value: datetime | None) -> str:
    """02:20 today, 3 Mar 02:20 on another day."""
    if value is None:
        return ""
    is_today = timezone.localtime(value).date() == timezone.localtime(utc_now()).date()
    return date_format(timezone.localtime(value), "H:i") if is_today else day_and_time(value)


def exact_utc(value: datetime) -> str:
    """12 Mar 2026 01:20:00 UTC."""
    return f"{date_format(timezone.localtime(value, UTC), 'j M Y H:i:s')} UTC"


def day_and_time(value: datetime) -> str:
    """12 Mar 02:20; with the year where it is not this year's."""
    local = timezone.localtime(value)
    same_year = local.year == timezone.localtime(utc_now()).year
    return date_format(local, "j M H:i" if same_year else "j M Y H:i")


def relative(value: datetime, now: datetime) -> str:
    """What `ago` shows; the browser repeats the first two forms while time passes."""
    seconds = max(0, int((now - value).total_seconds()))
    if seconds < MINUTE:
        return _("%(count)d s ago") % {"count": seconds}
    if seconds < HOUR:
        return _("%(count)d min ago") % {"count": seconds // MINUTE}
    local, today = timezone.localtime(value), timezone.localtime(now).date()
    return date_format(local, "H:i") if local.date() == today else day_and_time(value)


@register.simple_tag
def version_step(source: str, target: str) -> SafeString:
    """4.9.2 → 4.12.0; an unknown source is said in words."""
    start = (
        format_html('<span class="ver t2">{}</span>', source)
        if source
        else format_html('<span class="t2">{}</span>', _("unknown"))
    )
    return format_html(
        '<span class="nw">{} {} <span class="ver">{}</span></span>', start, icon("arrow-right", "arrow"), target
    )
