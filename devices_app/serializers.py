"""Products, modules, devices and groups as the API writes and reads them. This file is long because it is one list.

This file is long because it is one thing: the shapes of one resource tree, products and what belongs to them.

Shapes only; commands decide what is accepted.
"""

from typing import Any, Final

from rest_framework import serializers

from devices_app.commands.devices import MAX_DEVICES_AT_ONCE, DeviceDraft, DeviceResult
from devices_app.commands.groups import MAX_FILTER_VERSIONS, MAX_MEMBERS_AT_ONCE, GroupDraft, GroupFilter
from devices_app.models import DEFAULT_MODULE, Device, DeviceGroup, Module, ModuleVersion, Product
from ota_console.web.rest import NameField, StrictSerializer, UtcDateTimeField

LONGEST_TEXT: Final = 200
"""Of names and texts as they arrive; the commands have the exact limits and say them."""
PRODUCT_KEY: Final = "Product key, 4 to 32 letters and digits."
DEVICE_NAME: Final = "4 to 32 letters, digits, and the characters - _ @ . :"
SECRET: Final = "8 to 64 visible ASCII characters; generated where none is given."  # noqa: S105  # a help text


class ProductOut(serializers.ModelSerializer[Product]):
    """A product without its secret."""

    created_at = UtcDateTimeField(read_only=True)

    class Meta:
        model = Product
        fields: tuple[str, ...] = ("product_key", "name", "is_dynamic_registration_enabled", "created_at")
        read_only_fields: tuple[str, ...] = fields


class ProductDetailOut(ProductOut):
    """A product with its secret."""

    class Meta(ProductOut.Meta):
        fields: tuple[str, ...] = (*ProductOut.Meta.fields, "product_secret")
        read_only_fields: tuple[str, ...] = fields


class ProductIn(StrictSerializer):
    """A product to be made. Give key and secret to move an existing fleet."""

    name = serializers.CharField(
        max_length=LONGEST_TEXT,
        help_text="4 to 30 characters, a Chinese or Japanese one counting 2: letters, digits, underscores.",
    )
    product_key = serializers.CharField(
        required=False, allow_blank=True, default="", help_text=f"{PRODUCT_KEY} Generated where none is given."
    )
    product_secret = serializers.CharField(required=False, allow_blank=True, default="", help_text=SECRET)
    is_dynamic_registration_enabled = serializers.BooleanField(
        default=False, help_text="Devices may fetch their secret with the product's secret."
    )


class ProductEdit(StrictSerializer):
    """What of a product can change; a missing field stays."""

    name = serializers.CharField(required=False, max_length=LONGEST_TEXT)
    is_dynamic_registration_enabled = serializers.BooleanField(required=False)


class ModuleOut(serializers.ModelSerializer[Module]):
    """A module of a product."""

    product_key = serializers.CharField(source="product.product_key", read_only=True)
    created_at = UtcDateTimeField(read_only=True)

    class Meta:
        model = Module
        fields: tuple[str, ...] = ("product_key", "name", "alias", "description", "created_at")
        read_only_fields: tuple[str, ...] = fields


class ModuleIn(StrictSerializer):
    """A module to be made."""

    product_key = serializers.CharField(help_text=PRODUCT_KEY)
    name = serializers.CharField(help_text="1 to 64 letters, digits, and the characters . - _ ; case does not count.")
    alias = serializers.CharField(required=False, allow_blank=True, default="", max_length=LONGEST_TEXT)
    description = serializers.CharField(required=False, allow_blank=True, default="", max_length=LONGEST_TEXT)


class ModuleEdit(StrictSerializer):
    """What of a module can change; a missing field stays."""

    alias = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST_TEXT)
    description = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST_TEXT)


class VersionOut(serializers.ModelSerializer[ModuleVersion]):
    """The version of a module that a device last reported."""

    module = serializers.CharField(source="module.name", read_only=True)
    reported_at = UtcDateTimeField(read_only=True)

    class Meta:
        model = ModuleVersion
        fields: tuple[str, ...] = ("module", "version", "previous_version", "reported_at")
        read_only_fields: tuple[str, ...] = fields


class DeviceOut(serializers.ModelSerializer[Device]):
    """A device, what the broker last said of its connection, and the versions it reported."""

    id = serializers.CharField(source="public_id", read_only=True)
    product_key = serializers.CharField(source="product.product_key", read_only=True)
    device_name = serializers.CharField(source="name", read_only=True)
    presence_at = UtcDateTimeField(
        allow_null=True, read_only=True, help_text="When it last came online or went offline."
    )
    last_seen_at = UtcDateTimeField(
        allow_null=True, read_only=True, help_text="When it last sent anything, to within a minute."
    )
    activated_at = UtcDateTimeField(allow_null=True, read_only=True, help_text="When it first connected; null: never.")
    created_at = UtcDateTimeField(read_only=True)
    versions = VersionOut(many=True, read_only=True)

    class Meta:
        model = Device
        fields: tuple[str, ...] = (
            "id",
            "product_key",
            "device_name",
            "is_enabled",
            "is_online",
            "presence_at",
            "last_seen_at",
            "activated_at",
            "address",
            "versions",
            "created_at",
        )
        read_only_fields: tuple[str, ...] = fields


class DeviceDetailOut(DeviceOut):
    """A device with its secret."""

    device_secret = serializers.CharField(source="secret", read_only=True)

    class Meta(DeviceOut.Meta):
        fields: tuple[str, ...] = (*DeviceOut.Meta.fields, "device_secret")
        read_only_fields: tuple[str, ...] = fields


class DeviceRowIn(StrictSerializer):
    """One device of a request. Give name and secret to move an existing fleet."""

    device_name = serializers.CharField(
        required=False, allow_blank=True, default="", help_text=f"{DEVICE_NAME} Generated where none is given."
    )
    device_secret = serializers.CharField(required=False, allow_blank=True, default="", help_text=SECRET)

    def to_internal_value(self, data: Any) -> DeviceDraft:
        values = super().to_internal_value(data)
        return DeviceDraft(name=values["device_name"], secret=values["device_secret"])


class DeviceIn(StrictSerializer):
    """A device to be made."""

    product_key = serializers.CharField(help_text=PRODUCT_KEY)
    device_name = serializers.CharField(required=False, allow_blank=True, default="", help_text=DEVICE_NAME)
    device_secret = serializers.CharField(required=False, allow_blank=True, default="", help_text=SECRET)


class DevicesIn(StrictSerializer):
    """Many devices of one product. A wrong row does not keep the others."""

    product_key = serializers.CharField(help_text=PRODUCT_KEY)
    devices = serializers.ListField(
        child=DeviceRowIn(), min_length=1, max_length=MAX_DEVICES_AT_ONCE, help_text="1 to 10,000 rows."
    )


class DeviceResultOut(serializers.Serializer[DeviceResult]):
    """What became of one row, in the order of the request."""

    device_name = serializers.CharField(source="name")
    status = serializers.ChoiceField(choices=("created", "exists", "invalid"), source="outcome.value")
    id = serializers.CharField(source="public_id", help_text="Empty where nothing was created.")
    device_secret = serializers.CharField(source="secret", help_text="Empty where nothing was created.")
    errors = serializers.DictField(  # type: ignore[assignment]  # a field of the answer, not the base's property
        child=serializers.ListField(child=serializers.CharField()),
        help_text="What is wrong, by field; empty where the device was created.",
    )


class DevicesOut(serializers.Serializer[Any]):
    """What became of all rows."""

    created_count = serializers.IntegerField()
    failed_count = serializers.IntegerField()
    results = DeviceResultOut(many=True)


class SummaryOut(serializers.Serializer[Any]):
    """How many devices there are."""

    total = serializers.IntegerField(help_text="Online, offline and never connected.")
    online = serializers.IntegerField()
    offline = serializers.IntegerField(help_text="Connected before, and not now.")
    never_connected = serializers.IntegerField()
    disabled = serializers.IntegerField(help_text="Of the total, those that may not log in.")


class SecretIn(StrictSerializer):
    """The next secret of a device."""

    device_secret = serializers.CharField(required=False, allow_blank=True, default="", help_text=SECRET)


class SecretOut(serializers.Serializer[Any]):
    """The secret that a device has from now on."""

    device_secret = serializers.CharField()


class GroupFilterField(StrictSerializer):
    """Which devices a dynamic group holds; a part that is missing does not restrict."""

    name_prefix = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST_TEXT)
    module = serializers.CharField(
        required=False, allow_blank=True, max_length=LONGEST_TEXT, help_text=f"`{DEFAULT_MODULE}` where it is missing."
    )
    versions = serializers.ListField(
        required=False, child=serializers.CharField(max_length=LONGEST_TEXT), max_length=MAX_FILTER_VERSIONS
    )

    def to_internal_value(self, data: Any) -> GroupFilter:
        values = super().to_internal_value(data)
        return GroupFilter(
            name_prefix=values.get("name_prefix", ""),
            module=values.get("module", ""),
            versions=tuple(values.get("versions", ())),
        )


class GroupOut(serializers.ModelSerializer[DeviceGroup]):
    """A group of devices of one product."""

    id = serializers.CharField(source="public_id", read_only=True)
    product_key = serializers.CharField(source="product.product_key", read_only=True)
    kind = NameField(DeviceGroup.Kind, read_only=True)
    filter = GroupFilterField(read_only=True)
    created_at = UtcDateTimeField(read_only=True)

    class Meta:
        model = DeviceGroup
        fields: tuple[str, ...] = ("id", "product_key", "name", "kind", "filter", "description", "created_at")
        read_only_fields: tuple[str, ...] = fields


class GroupIn(StrictSerializer):
    """A group to be made."""

    product_key = serializers.CharField(help_text=PRODUCT_KEY)
    name = serializers.CharField(
        max_length=LONGEST_TEXT, help_text="4 to 30 characters, a Chinese or Japanese one counting 2."
    )
    kind = NameField(DeviceGroup.Kind, default=DeviceGroup.Kind.STATIC)
    filter = GroupFilterField(required=False, default=GroupFilter(), help_text="Dynamic groups only.")
    description = serializers.CharField(required=False, allow_blank=True, default="", max_length=LONGEST_TEXT)

    def to_internal_value(self, data: Any) -> GroupDraft:
        values = super().to_internal_value(data)
        return GroupDraft(product=values.pop("product_key"), **values)


class GroupEdit(StrictSerializer):
    """What of a group can change; a missing field stays."""

    name = serializers.CharField(required=False, max_length=LONGEST_TEXT)
    description = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST_TEXT)
    filter = GroupFilterField(required=False, help_text="Dynamic groups only; replaced as a whole.")


class MembersIn(StrictSerializer):
    """Devices that come into a static group, and that leave it, by name."""

    add = serializers.ListField(
        required=False,
        default=list,
        child=serializers.CharField(max_length=LONGEST_TEXT),
        max_length=MAX_MEMBERS_AT_ONCE,
    )
    remove = serializers.ListField(
        required=False,
        default=list,
        child=serializers.CharField(max_length=LONGEST_TEXT),
        max_length=MAX_MEMBERS_AT_ONCE,
    )


class MembersOut(serializers.Serializer[Any]):
    """What changed."""

    added_count = serializers.IntegerField()
    removed_count = serializers.IntegerField()
    unknown = serializers.ListField(child=serializers.CharField(), help_text="Names that the product does not have.")
