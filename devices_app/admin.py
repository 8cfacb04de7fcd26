"""Products, devices and what they said in the admin, to be read. Secrets are not shown."""

from django.contrib import admin

from devices_app.models import (
    Device,
    DeviceGroup,
    DeviceLogEntry,
    DropCount,
    GroupMember,
    Module,
    ModuleVersion,
    Product,
)
from ota_console.web.admin import ReadOnlyAdmin, ReadOnlyInline


class ModuleInline(ReadOnlyInline):
    model = Module
    fields = ("name", "alias", "description", "created_at")


@admin.register(Product)
class ProductAdmin(ReadOnlyAdmin):
    list_display = ("name", "product_key", "is_dynamic_registration_enabled", "created_at")
    list_filter = ("is_dynamic_registration_enabled",)
    search_fields = ("name", "product_key")
    exclude = ("product_secret",)
    inlines = (ModuleInline,)


@admin.register(Module)
class ModuleAdmin(ReadOnlyAdmin):
    list_display = ("name", "product", "alias", "description", "created_at")
    list_filter = ("product",)
    list_select_related = ("product",)
    search_fields = ("name", "alias")


class ModuleVersionInline(ReadOnlyInline):
    model = ModuleVersion
    fields = ("module", "version", "previous_version", "reported_at")


@admin.register(Device)
class DeviceAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "product",
        "is_enabled",
        "is_online",
        "presence_at",
        "last_seen_at",
        "activated_at",
        "address",
    )
    list_filter = ("product", "is_enabled", "is_online")
    list_select_related = ("product",)
    search_fields = ("name", "public_id")
    ordering = ("-id",)
    exclude = ("secret",)
    inlines = (ModuleVersionInline,)


@admin.register(ModuleVersion)
class ModuleVersionAdmin(ReadOnlyAdmin):
    list_display = ("device", "module", "version", "previous_version", "reported_at")
    list_filter = ("module",)
    list_select_related = ("device", "module")
    search_fields = ("device__name", "version")
    ordering = ("-id",)


@admin.register(DeviceGroup)
class DeviceGroupAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "product", "filter", "description", "created_at")
    list_filter = ("kind", "product")
    list_select_related = ("product",)
    search_fields = ("name", "public_id")


@admin.register(GroupMember)
class GroupMemberAdmin(ReadOnlyAdmin):
    list_display = ("group", "device")
    list_filter = ("group",)
    list_select_related = ("group", "device")
    search_fields = ("device__name",)
    ordering = ("-id",)


@admin.register(DeviceLogEntry)
class DeviceLogEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "device", "reason", "detail")
    list_filter = ("reason",)
    list_select_related = ("device",)
    search_fields = ("device__name",)
    ordering = ("-id",)


@admin.register(DropCount)
class DropCountAdmin(ReadOnlyAdmin):
    list_display = ("reason", "count", "last_at")
