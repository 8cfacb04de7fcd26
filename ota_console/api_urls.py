"""The addresses of the REST API: it wires the apps' views under /api/; nothing imports it but `urls`."""

from typing import Any

from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.permissions import AllowAny
from rest_framework.routers import SimpleRouter

from batches_app import api as batches
from devices_app import api as devices
from ota_console.accounts.api import TokenView
from packages_app import api as packages

_OPEN: Any = {"permission_classes": [AllowAny]}
"""What the API can do is no secret."""

router = SimpleRouter()
router.register("products", devices.ProductViewSet, basename="product")
router.register("devices", batches.DeviceWithUpdatesViewSet, basename="device")
router.register("groups", devices.GroupViewSet, basename="group")
router.register("packages", packages.PackageViewSet, basename="package")
router.register("device-lists", batches.DeviceListViewSet, basename="device-list")
router.register("batches", batches.BatchViewSet, basename="batch")
router.register("tasks", batches.TaskViewSet, basename="task")

all_modules = devices.ModuleViewSet.as_view({"get": "list", "post": "create"})
one_module = devices.ModuleViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", SpectacularAPIView.as_view(**_OPEN), name="api-schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="api-schema", **_OPEN), name="api-docs"),
    path("v1/auth/token/", TokenView.as_view(), name="api-token"),
    path("v1/modules/", all_modules, name="module-list"),
    re_path(
        rf"^v1/modules/(?P<product_key>{devices.PRODUCT_KEY})/(?P<name>[A-Za-z0-9._-]{{1,64}})/$",
        one_module,
        name="module-detail",
    ),
    path("v1/", include(router.urls)),
]
