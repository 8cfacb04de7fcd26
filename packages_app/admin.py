"""Update packages and their files in the admin, to be read."""

from django.contrib import admin

from ota_console.web.admin import ReadOnlyAdmin, ReadOnlyInline
from packages_app.models import PackageFile, UpdatePackage


class PackageFileInline(ReadOnlyInline):
    model = PackageFile
    fields = ("position", "name", "size_bytes", "md5", "sha256")


@admin.register(UpdatePackage)
class UpdatePackageAdmin(ReadOnlyAdmin):
    list_display = ("name", "version", "product", "module", "kind", "status", "sign_method", "created_by", "created_at")
    list_filter = ("status", "kind", "sign_method", "product")
    list_select_related = ("product", "module", "created_by")
    search_fields = ("name", "version", "public_id")
    inlines = (PackageFileInline,)


@admin.register(PackageFile)
class PackageFileAdmin(ReadOnlyAdmin):
    list_display = ("package", "position", "name", "size_bytes", "md5", "sha256")
    list_select_related = ("package",)
    search_fields = ("name", "sha256", "md5")
    ordering = ("-id",)
