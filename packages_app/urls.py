"""Addresses of update packages. They need to know of batches, so the room above mounts them: see `batches_app.urls`."""

from django.urls import URLPattern, URLResolver, path

from packages_app import views
from packages_app.ports import Batches

urlpatterns: list[URLPattern | URLResolver] = []


def routes(batches: Batches) -> list[URLPattern | URLResolver]:
    """Everything under `/ota/packages/` that this room shows."""
    return [
        path("", views.package_list, {"batches": batches}, name="list"),
        path("new/", views.package_upload, name="upload"),
        path("new/modules/", views.module_options, name="modules"),
        path("<str:public_id>/info/", views.package_info, {"batches": batches}, name="info"),
        path("<str:public_id>/delete/", views.package_delete, name="delete"),
        path("<str:public_id>/files/<int:position>/", views.package_download, name="download"),
    ]
