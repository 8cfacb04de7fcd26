"""Leases in the admin, to be read: who is the active gateway, which worker was alive when.

`core` stands below `web`, so it cannot take the read-only base from there.
"""

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from ota_console.core.models import Lease


@admin.register(Lease)
class LeaseAdmin(ModelAdmin):
    list_display = ("name", "holder", "expires_at")
    search_fields = ("name", "holder")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Lease | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Lease | None = None) -> bool:
        return False
