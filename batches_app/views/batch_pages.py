"""Batches: the list of all, and Batch details with its tabs Device list and Batch information."""

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from batches_app.filters import BatchFilter, shown_names, task_filter
from batches_app.forms.edit import EditForm
from batches_app.selectors import batches as selectors
from batches_app.selectors.batches import BatchFacts
from batches_app.selectors.device_update import device_update
from batches_app.selectors.task_rows import batch_page, single_rows
from batches_app.views.acting import page_or_dialog, wants_drawer
from ota_console.core.clock import now
from ota_console.web.htmx import page_or_fragment
from ota_console.web.pagination import page_by_key

BATCHES_PER_PAGE: Final = 50
MAX_TICKED: Final = 200
"""As many as one command takes."""

DIALOGS: Final = {
    "cancel": "batches_app/_cancel.html",
    "cancel-waiting": "batches_app/_cancel_waiting.html",
    "cancel-devices": "batches_app/_cancel_devices.html",
    "edit": "batches_app/_edit.html",
    "edit-rate": "batches_app/_edit.html",
    "edit-tags": "batches_app/_edit.html",
}


@require_GET
def batch_list(request: HttpRequest) -> HttpResponse:
    """All batches of all packages, newest first."""
    filters = BatchFilter(request.GET, selectors.batches())
    after = request.GET.get("after", "")
    page = page_by_key(filters.qs, size=BATCHES_PER_PAGE, after=int(after) if after.isdecimal() else None)
    moment = now()
    context = {
        "batches": [BatchFacts(batch, moment) for batch in page.rows],
        "next_key": page.next_key,
        "filters": filters,
        "is_filtered": any(value for name, value in request.GET.items() if name != "after"),
        "with_package": True,
    }
    return page_or_fragment(request, "batches_app/list.html", "batches_app/_batch_rows.html", context)


@require_GET
def batch(request: HttpRequest, public_id: str) -> HttpResponse:
    """A batch's address leads to its first tab."""
    return redirect("batches:devices", public_id)


@require_GET
def batch_devices(request: HttpRequest, public_id: str) -> HttpResponse:
    """Device list: the devices in this batch, grouped by their update status (seed)."""
    facts = selectors.batch_facts(public_id, now())
    wanted = task_filter(request.GET)
    if request.GET.get("part") == "failures":
        context = {"facts": facts, "counts": facts.counts, "wanted": wanted}
        return render(request, "batches_app/_failures.html", context)
    device = request.GET.get("device", "")
    if wants_drawer(request):
        return drawer(request, facts, device)
    context = _context(request, facts) | drawer_context(facts, device)
    context |= {
        "tab": "devices",
        "wanted": wanted,
        "shown": shown_names(wanted),
        "page": batch_page(batch_id=facts.batch.pk, wanted=wanted, after=request.GET.get("after", ""), now=facts.now),
    }
    dialog = _dialog(request, facts)
    return page_or_dialog(request, "batches_app/devices.html", "batches_app/_task_rows.html", dialog, context)


def drawer(request: HttpRequest, facts: BatchFacts, device: str) -> HttpResponse:
    """The drawer alone, as it stands now."""
    context = {"facts": facts, "batch": facts.batch, "counts": facts.counts} | drawer_context(facts, device)
    return render(request, "batches_app/_drawer.html", context)


def drawer_context(facts: BatchFacts, device: str) -> dict[str, Any]:
    """What the drawer shows of this device; nothing where none is open."""
    if not device:
        return {}
    batch = facts.batch
    found = device_update(batch_id=batch.pk, product_id=batch.product_id, device_name=device, now=facts.now)
    return {"drawer_device": device, "drawer": found}


@require_GET
def batch_info(request: HttpRequest, public_id: str) -> HttpResponse:
    """Batch information: what was launched, by whom, with which limits (seed)."""
    facts = selectors.batch_facts(public_id, now())
    context = _context(request, facts) | {"tab": "info"}
    dialog = _dialog(request, facts)
    return page_or_dialog(request, "batches_app/info.html", "batches_app/info.html", dialog, context)


def _context(request: HttpRequest, facts: BatchFacts) -> dict[str, Any]:
    context: dict[str, Any] = {"facts": facts, "batch": facts.batch, "counts": facts.counts}
    name = request.GET.get("dialog", "")
    if name.startswith("edit"):
        context |= {"form": EditForm.of(facts), "part": name}
    if name == "cancel-devices":
        ticked = request.GET.getlist("task")
        rows = single_rows(public_ids=ticked[:MAX_TICKED], batch_id=facts.batch.pk, now=facts.now)
        context["beyond_count"] = max(0, len(ticked) - MAX_TICKED)
        context["ticked"] = [row for row in rows if row.is_open]
    return context


def _dialog(request: HttpRequest, facts: BatchFacts) -> str:
    """The template of the asked dialog, where the batch's state still allows what it offers."""
    name = request.GET.get("dialog", "")
    allowed = {
        "cancel": facts.is_cancelable,
        "cancel-waiting": facts.not_upgrading_count > 0,
        "cancel-devices": facts.unfinished_count > 0,
        "edit": facts.is_upgrading,
        "edit-rate": facts.is_upgrading,
        "edit-tags": facts.is_upgrading,
    }
    return DIALOGS[name] if allowed.get(name) else ""
