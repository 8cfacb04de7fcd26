"""The composition root of all addresses: it wires apps together; nothing imports it."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

admin.autodiscover()

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("ota_console.accounts.urls")),
    path("", include("ota_console.ops.urls")),
    path("admin/", admin.site.urls),
    path("api/", include("ota_console.api_urls")),
    path("", include("devices_app.urls")),
    path("", include("packages_app.urls")),
    path("", include("batches_app.urls")),
]

handler400 = "ota_console.web.errors.bad_request"
handler403 = "ota_console.web.errors.permission_denied"
handler404 = "ota_console.web.errors.page_not_found"
handler500 = "ota_console.web.errors.server_error"
