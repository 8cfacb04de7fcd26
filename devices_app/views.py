"""The console's list of devices. Views translate and delegate."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from devices_app import selectors
from devices_app.filters import DeviceListFilter
from ota_console.web.htmx import page_or_fragment
from ota_console.web.pagination import page_by_key

PAGE_SIZE: Final = 100


@require_GET
def device_list(request: HttpRequest) -> HttpResponse:
    """All devices, newest first: are they online, what do they run."""
    filters = DeviceListFilter(request.GET, selectors.devices())
    after = request.GET.get("after", "")
    page = page_by_key(filters.qs, size=PAGE_SIZE, after=int(after) if after.isdecimal() else None)
    product = request.GET.get("product", "")
    context = {
        "devices": page.rows,
        "next_key": page.next_key,
        "summary": selectors.device_summary(product),
        "products": selectors.products(),
        "presence": request.GET.get("presence", ""),
        "is_filtered": any(value for name, value in request.GET.items() if name != "after"),
    }
    return page_or_fragment(request, "devices_app/list.html", "devices_app/_list_rows.html", context)
