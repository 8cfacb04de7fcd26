"""What a person changes: a batch (edit, cancel, pause, resume) and its device updates (cancel, confirm, restart)."""

from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST
from django_htmx.http import trigger_client_event

from batches_app.commands.cancel import TaskResult, cancel_batch, cancel_tasks, cancel_tasks_by_state
from batches_app.commands.confirm import confirm_tasks, reupgrade_tasks
from batches_app.commands.edit import Edited, edit_batch
from batches_app.commands.pause import pause_batch, resume_batch
from batches_app.domain.states import CONFIRM, NOTIFIED, QUEUED
from batches_app.forms.edit import RATE_FIELDS, EditForm
from batches_app.selectors.batches import BatchFacts, batch_facts
from batches_app.selectors.task_rows import single_rows
from batches_app.views.acting import actor_of, leave_dialog, wants_drawer
from batches_app.views.batch_pages import drawer
from ota_console.core.clock import now
from ota_console.core.errors import Conflict, Invalid
from ota_console.web.htmx import wants_fragment


def _devices_page(public_id: str) -> str:
    return reverse("batches:devices", args=[public_id])


@require_POST
def edit(request: HttpRequest, public_id: str) -> HttpResponse:
    """Rate values and tags of a batch that is Upgrading (seed)."""
    facts = batch_facts(public_id, now())
    form = EditForm(request.POST)
    before = EditForm.of(facts)
    edited = _save(request, facts, form) if form.is_valid() else None
    if edited is not None:
        _tell_edited(request, facts, before, edited)
        return leave_dialog(request, reverse("batches:info", args=[public_id]))
    part = request.POST.get("part", "edit")
    context = {"facts": facts, "batch": facts.batch, "counts": facts.counts, "form": form, "part": part}
    return render(request, "batches_app/_edit.html", context, status=422)


def _save(request: HttpRequest, facts: BatchFacts, form: EditForm) -> Edited | None:
    """None where the command refuses; the form then says why."""
    try:
        return edit_batch(
            batch=facts.batch.public_id,
            edit=form.edit(facts),
            actor=actor_of(request),
            now=now(),
            expected_updated_at=form.expected_updated_at,
        )
    except Invalid as error:
        form.add_errors(error.errors)
    except Conflict as error:
        form.add_errors({"": [error.message]})
    return None


@require_POST
def cancel(request: HttpRequest, public_id: str) -> HttpResponse:
    """Static: the batch and all its unfinished updates. Dynamic: the policy, on request its ongoing updates (seed)."""
    started = cancel_batch(
        batch=public_id, actor=actor_of(request), now=now(), include_ongoing=request.POST.get("include_ongoing") == "on"
    )
    messages.success(request, _canceling(started.task_count))
    return leave_dialog(request, _devices_page(public_id))


@require_POST
def cancel_waiting(request: HttpRequest, public_id: str) -> HttpResponse:
    """All updates of the batch in Pending Confirmation, To Be Pushed or Pushed (seed)."""
    started = cancel_tasks_by_state(
        batch=public_id, states=(CONFIRM, QUEUED, NOTIFIED), actor=actor_of(request), now=now()
    )
    messages.success(request, _canceling(started.task_count))
    return leave_dialog(request, _devices_page(public_id))


@require_POST
def cancel_ticked(request: HttpRequest, public_id: str) -> HttpResponse:
    """Several ticked devices (seed)."""
    results = cancel_tasks(tasks=request.POST.getlist("task"), actor=actor_of(request), now=now(), batch=public_id)
    done = sum(result.is_done for result in results)
    said = ngettext("%(count)d update canceled.", "%(count)d updates canceled.", done) % {"count": done}
    refused = [result for result in results if not result.is_done]
    if refused:
        more = ngettext("%(count)d had ended before.", "%(count)d had ended before.", len(refused))
        said = f"{said} {more % {'count': len(refused)}}"
    messages.success(request, said)
    return leave_dialog(request, _devices_page(public_id))


@require_POST
def pause(request: HttpRequest, public_id: str) -> HttpResponse:
    """Hold what has not started."""
    pause_batch(batch=public_id, actor=actor_of(request), now=now())
    messages.success(request, _("Batch paused. Nothing more is pushed; devices that are Upgrading go on."))
    return leave_dialog(request, _devices_page(public_id))


@require_POST
def resume(request: HttpRequest, public_id: str) -> HttpResponse:
    """Go on pushing."""
    resume_batch(batch=public_id, actor=actor_of(request), now=now())
    messages.success(request, _("Batch resumed."))
    return leave_dialog(request, _devices_page(public_id))


@require_POST
def cancel_task(request: HttpRequest, public_id: str, task: str) -> HttpResponse:
    """One device; at once, since Re-upgrade brings it back (design §6)."""
    actor, moment = actor_of(request), now()
    results = cancel_tasks(tasks=[task], actor=actor, now=moment, batch=public_id)
    return _row_again(
        request, public_id, results, lambda name: _("The update of %(device)s is canceled.") % {"device": name}
    )


@require_POST
def reupgrade_task(request: HttpRequest, public_id: str, task: str) -> HttpResponse:
    """Start an ended update of one device again."""
    results = reupgrade_tasks(tasks=[task], actor=actor_of(request), now=now(), batch=public_id)
    return _row_again(request, public_id, results, lambda name: _("%(device)s is updated again.") % {"device": name})


@require_POST
def confirm_task(request: HttpRequest, public_id: str, task: str) -> HttpResponse:
    """Confirm in the app's place."""
    results = confirm_tasks(tasks=[task], actor=actor_of(request), now=now())
    return _row_again(request, public_id, results, lambda name: _("%(device)s is confirmed.") % {"device": name})


def _tell_edited(request: HttpRequest, facts: BatchFacts, before: EditForm, edited: Edited) -> None:
    """What holds from when on, and Undo: an edit back to the values of before (design §6)."""
    if "undo" in request.POST:
        messages.success(request, _("Undone. The former values hold again."))
        return
    values = before.values_back(request.POST.get("part", "edit"), edited.updated_at) if edited.changed else []
    context = {"said": _edited(edited.changed), "batch": facts.batch, "values": values}
    messages.success(request, render_to_string("batches_app/_edited.html", context, request))


def _edited(changed: Sequence[str]) -> str:
    if not changed:
        return _("Nothing was changed.")
    has_tags = "tags" in changed
    has_rate = any(name in RATE_FIELDS for name in changed)
    if has_tags and has_rate:
        return _("Saved. The push rate is in effect within 5 s; new tags reach devices within one minute.")
    if has_tags:
        return _("Tags saved. Device notifications use them within one minute.")
    if has_rate:
        return _("Push rate saved. In effect within 5 s.")
    return _("Saved. It holds for device updates made from now on.")


def _canceling(count: int) -> str:
    if not count:
        return _("Canceled. No device update had to be stopped.")
    return ngettext("Canceling %(count)s update.", "Canceling %(count)s updates.", count) % {"count": f"{count:,}"}


def _row_again(
    request: HttpRequest, public_id: str, results: Sequence[TaskResult], said: Callable[[str], str]
) -> HttpResponse:
    """The row as it stands now, and a toast; the whole page where no script runs."""
    result = results[0]
    text = said(result.device_name) if result.is_done else result.message
    if not wants_fragment(request):
        (messages.success if result.is_done else messages.error)(request, text)
        device = request.POST.get("device", "")
        open_drawer = f"?{urlencode({'device': device})}" if device else ""
        return leave_dialog(request, f"{_devices_page(public_id)}{open_drawer}")
    facts = batch_facts(public_id, now())
    if wants_drawer(request):
        response = drawer(request, facts, request.POST.get("device", ""))
    else:
        response = _row(request, facts, result.task)
    return trigger_client_event(response, "toast", {"text": text, "kind": "good" if result.is_done else "bad"})


def _row(request: HttpRequest, facts: BatchFacts, task: str) -> HttpResponse:
    rows = single_rows(public_ids=[task], batch_id=facts.batch.pk, now=facts.now)
    context = {"row": rows[0], "facts": facts, "batch": facts.batch} if rows else {}
    return render(request, "batches_app/_task_row.html", context)
