"""The audit trail in the admin, to be read."""

from django.contrib import admin

from ota_console.audit.models import AuditEntry
from ota_console.web.admin import ReadOnlyAdmin


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor_name", "action", "target_type", "target_id")
    list_filter = ("action", "target_type")
    search_fields = ("actor_name", "target_id")
