"""What the gateway keeps, in the admin, to be read."""

from django.contrib import admin

from ota_console.gateway.models import AppliedEntry
from ota_console.web.admin import ReadOnlyAdmin


@admin.register(AppliedEntry)
class AppliedEntryAdmin(ReadOnlyAdmin):
    list_display = ("id", "token")
    exclude = ("fingerprints",)
    ordering = ("-id",)
