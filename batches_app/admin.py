"""Batches, device updates and their counters in the admin, to be read: every state is moved by commands alone."""

from django.contrib import admin

from batches_app.models import (
    Batch,
    BatchCounts,
    BatchTag,
    DeviceList,
    DeviceListEntry,
    FailureCount,
    MatchRequest,
    PackageCounts,
    Task,
    TaskEvent,
)
from ota_console.web.admin import ReadOnlyAdmin, ReadOnlyInline

COUNTS = ("confirm", "queued", "queued_offline", "notified", "in_progress", "succeeded", "failed", "canceled")


class BatchTagInline(ReadOnlyInline):
    model = BatchTag
    fields = ("position", "key", "value")


class BatchCountsInline(ReadOnlyInline):
    model = BatchCounts
    fields = (*COUNTS, "revision")


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = (
        "public_id",
        "title",
        "package",
        "kind",
        "selection",
        "target",
        "status",
        "launch_state",
        "created_at",
    )
    list_filter = ("status", "kind", "selection", "target", "is_open")
    list_select_related = ("package",)
    search_fields = ("public_id", "title", "package__name")
    inlines = (BatchCountsInline, BatchTagInline)


@admin.register(BatchTag)
class BatchTagAdmin(ReadOnlyAdmin):
    list_display = ("batch", "position", "key", "value")
    list_select_related = ("batch",)
    search_fields = ("key", "value", "batch__public_id")
    ordering = ("-id",)


class TaskEventInline(ReadOnlyInline):
    model = TaskEvent
    fields = ("at", "kind", "status", "detail")


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    list_display = (
        "device_name",
        "batch",
        "status",
        "reason",
        "progress",
        "attempt",
        "push_no",
        "due_at",
        "updated_at",
    )
    list_filter = ("status", "is_offline", "is_retry_pending")
    list_select_related = ("batch",)
    search_fields = ("=public_id", "=batch__public_id", "=device__name")
    ordering = ("-id",)
    inlines = (TaskEventInline,)


@admin.register(TaskEvent)
class TaskEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "task", "kind", "status", "detail")
    list_select_related = ("task",)
    search_fields = ("=task__public_id",)
    ordering = ("-id",)


@admin.register(BatchCounts)
class BatchCountsAdmin(ReadOnlyAdmin):
    list_display = ("batch", *COUNTS, "revision")
    list_select_related = ("batch",)
    search_fields = ("batch__public_id",)
    ordering = ("-batch_id",)


@admin.register(PackageCounts)
class PackageCountsAdmin(ReadOnlyAdmin):
    list_display = ("package", *COUNTS, "revision")
    list_select_related = ("package",)
    search_fields = ("package__public_id", "package__name")
    ordering = ("-package_id",)


@admin.register(FailureCount)
class FailureCountAdmin(ReadOnlyAdmin):
    list_display = ("batch", "reason", "source_version", "count")
    list_filter = ("reason",)
    list_select_related = ("batch",)
    search_fields = ("batch__public_id", "source_version")
    ordering = ("-id",)


@admin.register(DeviceList)
class DeviceListAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "product", "file_name", "device_count", "bad_line_count", "created_by", "created_at")
    list_filter = ("product",)
    list_select_related = ("product", "created_by")
    search_fields = ("public_id", "file_name")
    exclude = ("bad_lines",)
    ordering = ("-id",)


@admin.register(DeviceListEntry)
class DeviceListEntryAdmin(ReadOnlyAdmin):
    list_display = ("device_list", "device")
    list_select_related = ("device_list", "device")
    search_fields = ("=device_list__public_id",)
    ordering = ("-id",)


@admin.register(MatchRequest)
class MatchRequestAdmin(ReadOnlyAdmin):
    list_display = ("device", "module", "is_new_version", "requested_at")
    list_select_related = ("device", "module")
    ordering = ("-id",)
