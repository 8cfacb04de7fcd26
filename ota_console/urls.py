"""The composition root of all addresses: it wires apps together; nothing imports it."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

admin.autodiscover()

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("ota_console.accounts.urls")),
    path("", include("ota_console.ops.urls")),
    path("admin/", admin.site.urls),
    path("api/", include("ota_console.api_urls")),
]
APPS = ("devices_app", "packages_app", "batches_app")
urlpatterns += [path("", include(f"{room}.urls")) for room in APPS if find_spec(f"{room}.urls")]

handler400 = "ota_console.web.errors.bad_request"
handler403 = "ota_console.web.errors.permission_denied"
handler404 = "ota_console.web.errors.page_not_found"
handler500 = "ota_console.web.errors.server_error"
