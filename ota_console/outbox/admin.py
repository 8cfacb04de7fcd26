"""The outbox in the admin, to be read: what waits to be sent, and what was."""

from django.contrib import admin

from ota_console.outbox.models import OutboxMessage
from ota_console.web.admin import ReadOnlyAdmin


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    list_display = ("id", "partition", "created_at", "sent_at")
    list_filter = ("partition", ("sent_at", admin.EmptyFieldListFilter))
    ordering = ("-id",)
