"""Addresses that tell the server's health; they need no sign-in."""

from django.urls import path

from ota_console.ops.views import healthz, readyz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
]
