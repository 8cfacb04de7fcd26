"""A package's tabs about its batches and their device updates. They extend the package room's page."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from batches_app.filters import shown_names, task_filter
from batches_app.selectors import batches as batch_selectors
from batches_app.selectors.batches import BatchFacts
from batches_app.selectors.counts import package_counts, unfinished
from batches_app.selectors.task_rows import package_page
from ota_console.core.clock import now
from ota_console.web.htmx import page_or_fragment
from ota_console.web.pagination import page_by_key
from packages_app.selectors import package_facts

BATCHES_PER_PAGE: Final = 50


@require_GET
def package(request: HttpRequest, public_id: str) -> HttpResponse:
    """A package's address leads to its first tab."""
    return redirect("batches:package-batches", public_id)


@require_GET
def package_batches(request: HttpRequest, public_id: str) -> HttpResponse:
    """Batch management: verify and update batches, newest first (seed)."""
    facts = package_facts(public_id)
    moment = now()
    after = request.GET.get("after", "")
    found = batch_selectors.batches_of_package(facts.package.pk)
    page = page_by_key(found, size=BATCHES_PER_PAGE, after=int(after) if after.isdecimal() else None)
    context = {
        "facts": facts,
        "figures": batch_selectors.package_figures(facts.package.pk),
        "tab": "batches",
        "batches": [BatchFacts(batch, moment) for batch in page.rows],
        "next_key": page.next_key,
    }
    return page_or_fragment(request, "batches_app/package_batches.html", "batches_app/_batch_rows.html", context)


@require_GET
def package_devices(request: HttpRequest, public_id: str) -> HttpResponse:
    """Device list: a row per device update, with statistics of updated, failed and canceled ones (seed)."""
    facts = package_facts(public_id)
    wanted = task_filter(request.GET)
    batch_ids = batch_selectors.batch_ids_of_package(facts.package.pk, request.GET.get("batch", ""))
    counts = package_counts(facts.package.pk)
    context = {
        "facts": facts,
        "figures": batch_selectors.package_figures(facts.package.pk),
        "tab": "devices",
        "counts": counts,
        "unfinished": unfinished(counts),
        "wanted": wanted,
        "shown": shown_names(wanted),
        "is_package": True,
        "page": package_page(batch_ids=batch_ids, wanted=wanted, after=request.GET.get("after", ""), now=now()),
    }
    return page_or_fragment(request, "batches_app/package_devices.html", "batches_app/_package_task_rows.html", context)
