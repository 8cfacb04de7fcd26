"""The console's pages about update packages: the list, the upload, the information. Views translate and delegate."""

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from ota_console.audit.actor import Actor
from ota_console.core.clock import now
from ota_console.core.errors import Invalid, OtaError
from ota_console.web.htmx import page_or_fragment, redirect_whole_page
from ota_console.web.pagination import page_by_key
from packages_app import limits, selectors
from packages_app.commands.create import PackageCreated, create_package
from packages_app.commands.delete import delete_package
from packages_app.filters import PackageFilter
from packages_app.forms import PackageForm
from packages_app.person_links import person_link
from packages_app.ports import Batches, BatchSummary
from packages_app.uploads import receive_packages, received_files

PAGE_SIZE: Final = 100


def _actor(request: HttpRequest) -> Actor:
    return Actor(request.user.pk, request.user.get_username())


@require_GET
def package_list(request: HttpRequest, *, batches: Batches) -> HttpResponse:
    """All update packages, newest first, with the filters of the address."""
    filters = PackageFilter(request.GET, selectors.packages())
    after = request.GET.get("after", "")
    page = page_by_key(filters.qs, size=PAGE_SIZE, after=int(after) if after.isdecimal() else None)
    summaries = batches.batch_summaries([row.pk for row in page.rows])
    rows = [(selectors.as_facts(row), summaries.get(row.pk, BatchSummary())) for row in page.rows]
    context = {
        "rows": rows,
        "next_key": page.next_key,
        "filters": filters,
        "total": selectors.package_count(),
        "limit": limits.MAX_PACKAGES,
        "products": selectors.product_choices(),
        "modules": selectors.module_choices(),
        "is_filtered": any(value for name, value in request.GET.items() if name != "after"),
    }
    return page_or_fragment(request, "packages_app/list.html", "packages_app/_list_rows.html", context)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def package_upload(request: HttpRequest) -> HttpResponse:
    """Add update package. Files must be taken in before anything reads the form, the check of its token included."""
    with receive_packages(request):
        return _package_upload(request)


@csrf_protect
def _package_upload(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return _upload_page(request, PackageForm(initial=request.GET.dict()))
    form = PackageForm(request.POST)
    created = _create(request, form)
    wants_json = "application/json" in request.headers.get("Accept", "")
    if created is None:
        return JsonResponse({"errors": _errors(form)}, status=400) if wants_json else _upload_page(request, form, 400)
    address = reverse("packages:info", args=[created.public_id])
    if wants_json:
        return JsonResponse(_uploaded(created.public_id, address), status=201)
    messages.success(request, _("The update package is stored."))
    return redirect(address)


def _create(request: HttpRequest, form: PackageForm) -> PackageCreated | None:
    """None where something is wrong; the form then says what."""
    files = received_files(request.FILES.getlist("files"))
    if not form.is_valid():
        return None
    try:
        return create_package(draft=form.draft(), files=files, actor=_actor(request), now=now())
    except Invalid as error:
        form.add_errors(error.errors)
    except OtaError as error:
        form.add_errors({"": [error.message]})
    return None


def _errors(form: PackageForm) -> dict[str, list[str]]:
    return {("" if name == "__all__" else name): [str(error) for error in found] for name, found in form.errors.items()}


def _uploaded(public_id: str, address: str) -> dict[str, Any]:
    facts = selectors.package_facts(public_id)
    files = selectors.package_files(facts.package.pk)
    return {
        "url": address,
        "name": facts.package.name,
        "version": facts.package.version,
        "sign_method": facts.package.sign_method,
        "sign": ", ".join(file.sign for file in files),
        "size": f"{facts.size_bytes:,}",
    }


def _upload_page(request: HttpRequest, form: PackageForm, status: int = 200) -> HttpResponse:
    context = {"form": form, "limits": limits, "file_types": ",".join(limits.FILE_TYPES)}
    return render(request, "packages_app/upload.html", context, status=status)


@require_GET
def module_options(request: HttpRequest) -> HttpResponse:
    """The modules of the product that was chosen in the form."""
    names = selectors.module_choices(request.GET.get("product", ""))
    return render(request, "packages_app/_module_options.html", {"names": names})


@require_GET
def package_info(request: HttpRequest, public_id: str, *, batches: Batches) -> HttpResponse:
    """The tab Update package information."""
    facts = selectors.package_facts(public_id)
    context = {
        "facts": facts,
        "figures": batches.package_figures(facts.package.pk),
        "tab": "info",
        "files": selectors.package_files(facts.package.pk),
        "dialog_template": "packages_app/_delete.html" if request.GET.get("dialog") == "delete" else "",
    }
    return page_or_fragment(request, "packages_app/info.html", "packages_app/_delete.html", context)


@require_POST
def package_delete(request: HttpRequest, public_id: str) -> HttpResponse:
    """Delete a package; its version is typed, so that no reflex does it."""
    facts = selectors.package_facts(public_id)
    if request.POST.get("version", "").strip() != facts.package.version:
        context = {
            "facts": facts,
            "error": _("Type the version number %(version)s.") % {"version": facts.package.version},
        }
        return render(request, "packages_app/_delete.html", context, status=422)
    delete_package(package=public_id, actor=_actor(request), now=now())
    messages.success(request, _("%(package)s is deleted.") % {"package": facts.package})
    return redirect_whole_page(request, reverse("packages:list"))


@require_GET
def package_download(request: HttpRequest, public_id: str, position: int) -> HttpResponse:
    """Lead to the file at the download server, by a link that lives as long as a person needs to start."""
    return HttpResponseRedirect(person_link(public_id, position, now=now()))
