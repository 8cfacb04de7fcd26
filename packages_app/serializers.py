"""Update packages as the API writes and reads them. Shapes only; commands decide what is accepted."""

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty

from devices_app.models import DEFAULT_MODULE
from ota_console.web.rest import NameField, StrictSerializer, UtcDateTimeField
from packages_app import limits
from packages_app.commands.create import PackageDraft
from packages_app.models import UpdatePackage
from packages_app.selectors import FileFacts, as_facts

LONGEST_TEXT: Final = 200
"""Of names as they arrive; the commands have the exact limits and say them."""
VERSION: Final = "1 to 64 letters, digits, and the characters . - _"


class FlagField(serializers.BooleanField):
    """A flag whose default also holds where a multipart form leaves it out."""

    default_empty_html = empty


class PackageOut(serializers.ModelSerializer[UpdatePackage]):
    """An update package, as a row of `selectors.packages()`."""

    id = serializers.CharField(source="public_id", read_only=True)
    product_key = serializers.CharField(source="product.product_key", read_only=True)
    module = serializers.CharField(source="module.name", read_only=True)
    kind = NameField(UpdatePackage.Kind, read_only=True)
    status = NameField(UpdatePackage.Status, read_only=True)
    sign = serializers.CharField(read_only=True, help_text="Digest of the only file; empty where there are several.")
    size_bytes = serializers.SerializerMethodField()
    file_count = serializers.SerializerMethodField()
    created_by = serializers.CharField(allow_null=True, source="created_by.username", default=None, read_only=True)
    created_at = UtcDateTimeField(read_only=True)
    updated_at = UtcDateTimeField(read_only=True)

    class Meta:
        model = UpdatePackage
        fields: tuple[str, ...] = (
            "id",
            "product_key",
            "module",
            "name",
            "version",
            "kind",
            "source_version",
            "status",
            "sign_method",
            "sign",
            "size_bytes",
            "file_count",
            "description",
            "created_by",
            "created_at",
            "updated_at",
        )
        read_only_fields: tuple[str, ...] = fields

    def get_size_bytes(self, package: UpdatePackage) -> int:
        return as_facts(package).size_bytes

    def get_file_count(self, package: UpdatePackage) -> int:
        return as_facts(package).file_count


class FileOut(serializers.Serializer[FileFacts]):
    """A file of a package. Digests are lower-case hex."""

    position = serializers.IntegerField()
    name = serializers.CharField()
    size_bytes = serializers.IntegerField()
    md5 = serializers.CharField()
    sha256 = serializers.CharField()
    sign = serializers.CharField(help_text="The digest by the package's sign method.")


class PackageDetailOut(PackageOut):
    """A package with its files, which the view reads in one query and puts into the context."""

    files = serializers.SerializerMethodField()

    class Meta(PackageOut.Meta):
        fields: tuple[str, ...] = (*PackageOut.Meta.fields, "custom_info", "files")
        read_only_fields: tuple[str, ...] = fields

    @extend_schema_field(FileOut(many=True))
    def get_files(self, package: UpdatePackage) -> Any:
        return FileOut(self.context["files"], many=True).data


class PackageIn(StrictSerializer):
    """A package to be made, with its files."""

    product_key = serializers.CharField(help_text="Product that the package is for; it cannot be changed.")
    name = serializers.CharField(
        max_length=LONGEST_TEXT,
        help_text="1 to 40 Chinese or Japanese characters, letters, digits, and - _ ( ); unique.",
    )
    version = serializers.CharField(max_length=LONGEST_TEXT, help_text=f"Destination version. {VERSION}")
    module = serializers.CharField(required=False, default=DEFAULT_MODULE, max_length=LONGEST_TEXT)
    kind = NameField(UpdatePackage.Kind, default=UpdatePackage.Kind.FULL)
    source_version = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=LONGEST_TEXT,
        help_text="Required for a delta package: the only version that it can be installed on.",
    )
    sign_method = serializers.ChoiceField(
        choices=UpdatePackage.SignMethod.values, default=UpdatePackage.SignMethod.MD5.value
    )
    needs_verification = FlagField(
        default=True, help_text="Whether a verify batch must succeed before any batch update."
    )
    description = serializers.CharField(
        required=False, allow_blank=True, default="", help_text=f"Up to {limits.MAX_DESCRIPTION_LENGTH} characters."
    )
    custom_info = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        trim_whitespace=False,
        help_text=f"Sent to devices as it is, up to {limits.MAX_CUSTOM_INFO_LENGTH} characters.",
    )
    files = serializers.ListField(
        child=serializers.FileField(allow_empty_file=True, max_length=None),
        help_text=f"1 to {limits.MAX_FILES} files of up to {limits.MAX_FILE_MEGABYTES} MB; "
        f"types {' '.join(limits.FILE_TYPES)}.",
    )

    def draft(self) -> PackageDraft:
        """What the command takes. Only after `is_valid()`."""
        values = {name: value for name, value in self.validated_data.items() if name != "files"}
        sign_method = UpdatePackage.SignMethod(values.pop("sign_method"))
        return PackageDraft(product=values.pop("product_key"), sign_method=sign_method, **values)


class PackageEdit(StrictSerializer):
    """What of a package can change; a missing field stays."""

    name = serializers.CharField(required=False, max_length=LONGEST_TEXT)
    description = serializers.CharField(required=False, allow_blank=True)
    custom_info = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
