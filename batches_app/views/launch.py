"""Batch update: the form, the review of the dry run, the launch. Verify update package: one form."""

from dataclasses import replace
from typing import Any, BinaryIO, Final, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from batches_app.commands.device_lists import create_device_list, upload_device_list
from batches_app.commands.launch import Launched, LaunchRequest, launch_batch, review_launch
from batches_app.commands.review import PARTS, list_reviewed
from batches_app.domain.policy import MAX_NAMES_IN_REQUEST
from batches_app.forms.launch import LaunchForm, VerifyForm
from batches_app.forms.tags import padded
from batches_app.selectors import choices
from batches_app.views.acting import actor_of, page_or_dialog
from ota_console.core.clock import now
from ota_console.core.errors import Conflict, Invalid, NotFound
from packages_app.selectors import PackageFacts, package_facts

NOT_KEPT: Final = {"csrfmiddlewaretoken", "step", "fingerprint", "reviewed", "list"}
"""What the review does not carry on; it sets its own."""


@require_http_methods(["GET", "POST"])
def verify(request: HttpRequest, public_id: str) -> HttpResponse:
    """Launch a verify batch on up to 10 test devices."""
    facts = package_facts(public_id)
    form = VerifyForm(request.POST if request.method == "POST" else None)
    launched = _launched(request, form, form.request(public_id)) if form.is_bound and form.is_valid() else None
    if launched is not None:
        return redirect("batches:devices", launched.public_id)
    context = {
        "facts": facts,
        "form": form,
        "tags": padded(form.tags),
        "devices": choices.test_devices(facts.package),
        "ticked": form.names,
    }
    return render(request, "batches_app/verify.html", context, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
def launch(request: HttpRequest, public_id: str) -> HttpResponse:
    """Step by step: the form, its review, the launch. Nothing is sent before the last one."""
    facts = package_facts(public_id)
    if request.method == "GET":
        return _form_page(request, facts, LaunchForm())
    form = LaunchForm(request.POST)
    if request.POST.get("step") == "form":
        return _form_page(request, facts, form)
    if not form.is_valid():
        return _form_page(request, facts, form, 422)
    asked = _with_device_list(request, facts, form)
    if not form.is_valid():
        return _form_page(request, facts, form, 422)
    if request.POST.get("step") == "launch":
        launched = _launched(request, form, asked)
        if launched is not None:
            return redirect("batches:devices", launched.public_id)
    return _review_page(request, facts, form, asked)


@require_POST
def matching(request: HttpRequest, public_id: str) -> HttpResponse:
    """How many devices match what the form says so far; nothing is changed."""
    form = LaunchForm(request.POST)
    counts = None
    if form.is_valid():
        try:
            counts = review_launch(request=form.request(public_id), now=now()).counts
        except (Conflict, Invalid) as error:
            form.add_errors({"": [error.message]})
    return render(request, "batches_app/_matching.html", {"counts": counts, "form": form})


@require_GET
def bad_lines(request: HttpRequest, public_id: str) -> HttpResponse:
    """The names that were left out of a device list, as CSV."""
    text = choices.bad_lines(public_id)
    if text is None:
        raise NotFound("device_list_unknown", _("There is no such device list."))
    name = f'attachment; filename="left-out-{public_id}.csv"'
    return HttpResponse(text, content_type="text/csv; charset=utf-8", headers={"Content-Disposition": name})


def _launched(request: HttpRequest, form: LaunchForm | VerifyForm, asked: LaunchRequest) -> Launched | None:
    """None where the command refuses; the form then says why."""
    try:
        return launch_batch(request=asked, actor=actor_of(request), now=now())
    except Invalid as error:
        form.add_errors(error.errors)
    except Conflict as error:
        form.add_errors({"": [error.message]})
    return None


def _with_device_list(request: HttpRequest, facts: PackageFacts, form: LaunchForm) -> LaunchRequest:
    """An uploaded file, or more names than one request takes, becomes a device list first."""
    asked = form.request(facts.package.public_id)
    product, actor = facts.package.product.product_key, actor_of(request)
    file = request.FILES.get("device_file")
    is_specific = form.cleaned_data["target"] == asked.target.SPECIFIC and not form.is_dynamic
    try:
        if is_specific and file is not None:
            content = cast("BinaryIO", file)
            made = upload_device_list(product=product, file=content, file_name=file.name or "", actor=actor, now=now())
        elif len(asked.device_names) > MAX_NAMES_IN_REQUEST:
            made = create_device_list(product=product, names=asked.device_names, actor=actor, now=now())
        else:
            return asked
    except Invalid as error:
        form.add_errors({"device_names": [error.message]})
        return asked
    if made.bad_line_count:
        said = ngettext(
            "%(count)s name of the list is no device of this product and is left out.",
            "%(count)s names of the list are not devices of this product and are left out.",
            made.bad_line_count,
        )
        messages.warning(request, said % {"count": f"{made.bad_line_count:,}"})
    return replace(asked, device_names=(), device_list=made.public_id)


def _form_page(request: HttpRequest, facts: PackageFacts, form: LaunchForm, status: int = 200) -> HttpResponse:
    static, dynamic = choices.group_choices(facts.package)
    context = {
        "facts": facts,
        "form": form,
        "tags": padded(form.tags),
        "versions": choices.version_choices(facts.package),
        "chosen_versions": form.versions,
        "static_groups": static,
        "dynamic_groups": dynamic,
        "device_count": choices.product_device_count(facts.package),
    }
    return render(request, "batches_app/launch.html", context, status=status)


def _review_page(request: HttpRequest, facts: PackageFacts, form: LaunchForm, asked: LaunchRequest) -> HttpResponse:
    """What would happen: by the statement that the launch uses (rules.md §4)."""
    try:
        review = review_launch(request=replace(asked, fingerprint=""), now=now())
    except Conflict as error:
        form.add_errors({"": [error.message]})
        return _form_page(request, facts, form, 409)
    form.add_errors(review.errors)
    if review.counts is None or review.errors:
        return _form_page(request, facts, form, 422)
    context = {
        "facts": facts,
        "form": form,
        "asked": asked,
        "counts": review.counts,
        "kept": _kept(request, asked),
        "device_list": choices.list_facts(asked.device_list) if asked.device_list else None,
        "changed_by": _changed_by(request, review.counts.updated_count),
    }
    part, _colon, after = request.POST.get("list", "").partition(":")
    if part not in PARTS:
        return render(request, "batches_app/review.html", context)
    key = int(after) if after.isdecimal() else 0
    context |= {"part": part, "listed": list_reviewed(request=asked, part=part, after=key)}
    fragment = "batches_app/_scope_device_rows.html"
    return page_or_dialog(request, "batches_app/review.html", fragment, "batches_app/_scope_devices.html", context)


def _changed_by(request: HttpRequest, matched: int) -> int | None:
    """How many more devices match than were reviewed; None: nothing was reviewed, or nothing changed."""
    reviewed = request.POST.get("reviewed", "")
    difference = matched - int(reviewed) if reviewed.isdecimal() and request.POST.get("step") == "launch" else 0
    return difference or None


def _kept(request: HttpRequest, asked: LaunchRequest) -> list[tuple[str, Any]]:
    """Everything that was typed, to go on with it; a device list that was made stands for its names."""
    skipped = NOT_KEPT | ({"device_names", "device_list"} if asked.device_list else set())
    kept = [(name, value) for name, values in request.POST.lists() if name not in skipped for value in values]
    return [*kept, ("device_list", asked.device_list)] if asked.device_list else kept
