"""Addresses of batches and of what packages' pages show of them.

The package room's own addresses are mounted here, with what they need of batches.
"""

from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from batches_app.selectors import batches
from batches_app.views import batch_actions, batch_pages, launch, package_tabs
from packages_app.urls import routes as package_routes

_package = [
    path("", package_tabs.package, name="package"),
    path("batches/", package_tabs.package_batches, name="package-batches"),
    path("devices/", package_tabs.package_devices, name="package-devices"),
    path("launch/", launch.launch, name="launch"),
    path("launch/matching/", launch.matching, name="matching"),
    path("verify/", launch.verify, name="verify"),
]
_batch = [
    path("", batch_pages.batch, name="batch"),
    path("devices/", batch_pages.batch_devices, name="devices"),
    path("info/", batch_pages.batch_info, name="info"),
    path("edit/", batch_actions.edit, name="edit"),
    path("cancel/", batch_actions.cancel, name="cancel"),
    path("cancel-waiting/", batch_actions.cancel_waiting, name="cancel-waiting"),
    path("cancel-devices/", batch_actions.cancel_ticked, name="cancel-devices"),
    path("pause/", batch_actions.pause, name="pause"),
    path("resume/", batch_actions.resume, name="resume"),
    path("tasks/<str:task>/cancel/", batch_actions.cancel_task, name="cancel-task"),
    path("tasks/<str:task>/re-upgrade/", batch_actions.reupgrade_task, name="reupgrade-task"),
    path("tasks/<str:task>/confirm/", batch_actions.confirm_task, name="confirm-task"),
]
_ours: list[URLPattern | URLResolver] = [
    path("ota/batches/", batch_pages.batch_list, name="list"),
    path("ota/batches/<str:public_id>/", include(_batch)),
    path("ota/packages/<str:public_id>/", include(_package)),
    path("ota/device-lists/<str:public_id>/left-out.csv", launch.bad_lines, name="bad-lines"),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="packages:list"), name="home"),
    path("ota/packages/", include((package_routes(batches), "packages"))),
    path("", include((_ours, "batches"))),
]
