"""Who the devices are: products, modules, devices, the versions they report, groups, and what was dropped.

Fields, constraints and indexes only; no behaviour and no `save()`.
"""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

DEFAULT_MODULE = "default"
"""The module that means the whole device firmware; it exists in every product (vendor reference §1.2)."""

product_key_validator = RegexValidator(r"^[A-Za-z0-9]{4,32}\Z", _("Use 4 to 32 letters and digits."))
device_name_validator = RegexValidator(
    r"^[A-Za-z0-9_@.:-]{4,32}\Z", _("Use 4 to 32 letters, digits, and the characters - _ @ . :")
)
module_name_validator = RegexValidator(
    r"^[A-Za-z0-9._-]{1,64}\Z", _("Use 1 to 64 letters, digits, and the characters . - _")
)
version_validator = RegexValidator(
    r"^[A-Za-z0-9._-]{1,64}\Z", _("Use 1 to 64 letters, digits, and the characters . - _")
)


class Product(models.Model):
    """A kind of device. Key and secret may be given, so that an existing fleet can move (rules.md §5)."""

    product_key = models.CharField(max_length=32, unique=True, validators=[product_key_validator])
    product_secret = models.CharField(max_length=64)
    name = models.CharField(max_length=30, unique=True)
    is_dynamic_registration_enabled = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Module(models.Model):
    """A separately updatable part of the devices of one product (vendor reference §1.2)."""

    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="modules")
    name = models.CharField(max_length=64, validators=[module_name_validator])
    alias = models.CharField(max_length=64, blank=True, default="")
    description = models.CharField(max_length=100, blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("product_id", "name")
        constraints = (models.UniqueConstraint("product", Lower("name"), name="module_name_unique_in_product"),)

    def __str__(self) -> str:
        return self.name


class Device(models.Model):
    """One device of a product, with what the broker last said of its connection."""

    public_id = models.CharField(max_length=26, unique=True)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="devices", db_index=False)
    name = models.CharField(max_length=32, validators=[device_name_validator])
    secret = models.CharField(max_length=64)
    is_enabled = models.BooleanField(default=True)
    is_online = models.BooleanField(default=False)
    session = models.CharField(max_length=64, blank=True, default="")
    """The broker's name of the current connection: a late disconnect of an older one is ignored (rules.md §5)."""
    presence_at = models.DateTimeField(null=True, blank=True)
    """When it last came online or went offline."""
    last_seen_at = models.DateTimeField(null=True, blank=True)
    """When it last sent anything, to within a minute."""
    ask_at = models.DateTimeField(null=True, blank=True)
    """After the broker was lost: when a device that has stayed silent since is pushed again (`presence`)."""
    address = models.CharField(max_length=45, blank=True, default="")
    activated_at = models.DateTimeField(null=True, blank=True)
    """When it first connected."""
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=("product", "name"), name="device_name_unique_in_product"),)
        indexes = (
            models.Index(fields=("product", "id"), name="device_product_id"),
            models.Index(fields=("product",), name="device_online", condition=models.Q(is_online=True)),
            models.Index(fields=("ask_at",), name="device_to_be_asked", condition=models.Q(ask_at__isnull=False)),
        )

    def __str__(self) -> str:
        return self.name


class ModuleVersion(models.Model):
    """The version that a device last reported of one of its modules."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="versions", db_index=False)
    module = models.ForeignKey(Module, on_delete=models.PROTECT, related_name="versions", db_index=False)
    version = models.CharField(max_length=64)
    previous_version = models.CharField(max_length=64, blank=True, default="")
    reported_at = models.DateTimeField()
    """When this value was first reported; an equal report in a row does not move it."""

    class Meta:
        constraints = (models.UniqueConstraint(fields=("device", "module"), name="one_version_per_device_and_module"),)
        indexes = (models.Index(fields=("module", "version", "device"), name="version_by_module"),)

    def __str__(self) -> str:
        return self.version


class DeviceGroup(models.Model):
    """A set of devices: listed (static), or described by a stored filter (dynamic)."""

    class Kind(models.IntegerChoices):
        STATIC = 0, _("Static")
        DYNAMIC = 1, _("Dynamic")

    public_id = models.CharField(max_length=26, unique=True)
    name = models.CharField(max_length=30, unique=True)
    kind = models.SmallIntegerField(choices=Kind, default=Kind.STATIC)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="groups")
    filter = models.JSONField(default=dict, blank=True)
    """Dynamic groups: {"name_prefix": str, "module": str, "versions": [str]}; a missing key does not restrict."""
    description = models.CharField(max_length=100, blank=True, default="")
    created_at = models.DateTimeField()
    devices = models.ManyToManyField(Device, through="GroupMember", related_name="groups")

    class Meta:
        ordering = ("name",)
        constraints = (models.CheckConstraint(condition=models.Q(kind__in=(0, 1)), name="group_kind_known"),)

    def __str__(self) -> str:
        return self.name


class GroupMember(models.Model):
    """A device in a static group."""

    group = models.ForeignKey(DeviceGroup, on_delete=models.CASCADE, db_index=False)
    device = models.ForeignKey(Device, on_delete=models.CASCADE)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("group", "device"), name="device_once_in_group"),)

    def __str__(self) -> str:
        return f"{self.group_id}:{self.device_id}"


class DeviceLogEntry(models.Model):
    """Something about a device that an operator should find on its page: a dropped message, a code without a task."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="log", db_index=False)
    at = models.DateTimeField()
    reason = models.CharField(max_length=40)
    detail = models.CharField(max_length=512, blank=True, default="")

    class Meta:
        indexes = (models.Index(fields=("device", "id"), name="device_log_newest"),)

    def __str__(self) -> str:
        return self.reason


class DropCount(models.Model):
    """How many messages were dropped for one reason, known device or not (rules.md §5)."""

    reason = models.CharField(max_length=40, unique=True)
    count = models.BigIntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta:
        ordering = ("-count",)

    def __str__(self) -> str:
        return self.reason
