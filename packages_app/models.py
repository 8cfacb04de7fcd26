"""What is installed: update packages and their files. Fields, constraints and indexes only."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from devices_app.models import Module, Product, version_validator

package_name_validator = RegexValidator(
    r"^[A-Za-z0-9\u3040-\u30ff\u3400-\u9fff][A-Za-z0-9\u3040-\u30ff\u3400-\u9fff_()-]{0,39}\Z",
    _(
        "Use 1 to 40 Chinese or Japanese characters, letters, digits, hyphens, underscores and parentheses, "
        "and start with a Chinese or Japanese character, a letter or a digit."
    ),
)


class UpdatePackage(models.Model):
    """A version of one module of one product, as uploaded (vendor reference §1.3)."""

    class Kind(models.IntegerChoices):
        FULL = 0, _("Full")
        DELTA = 1, _("Delta")

    class SignMethod(models.TextChoices):
        MD5 = "MD5", "MD5"
        SHA256 = "SHA256", "SHA256"

    class Status(models.IntegerChoices):
        """Vendor reference §1.4."""

        VERIFICATION_NOT_REQUIRED = -1, _("Verification not required")
        NOT_VERIFIED = 0, _("Not verified")
        VERIFIED = 1, _("Verified")
        VERIFYING = 2, _("Verifying")
        VERIFICATION_FAILED = 3, _("Verification failed")

    public_id = models.CharField(max_length=26, unique=True)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="packages")
    module = models.ForeignKey(Module, on_delete=models.PROTECT, related_name="packages")
    name = models.CharField(max_length=40, unique=True, validators=[package_name_validator])
    version = models.CharField(max_length=64, validators=[version_validator])
    """The destination version."""
    kind = models.SmallIntegerField(choices=Kind, default=Kind.FULL)
    source_version = models.CharField(max_length=64, blank=True, default="", validators=[version_validator])
    """Required for a delta package; the only version it can be installed on."""
    sign_method = models.CharField(max_length=6, choices=SignMethod, default=SignMethod.MD5)
    sign = models.CharField(max_length=64, blank=True, default="")
    """Lower-case hex digest of the single file by `sign_method`; empty for several files."""
    status = models.SmallIntegerField(choices=Status, default=Status.NOT_VERIFIED)
    custom_info = models.CharField(max_length=4096, blank=True, default="")
    """Pushed to devices as `extData._package_udi`."""
    description = models.CharField(max_length=100, blank=True, default="")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(condition=Q(kind__in=(0, 1)), name="package_kind_known"),
            models.CheckConstraint(condition=Q(status__gte=-1, status__lte=3), name="package_status_known"),
            models.CheckConstraint(condition=Q(sign_method__in=("MD5", "SHA256")), name="package_sign_method_known"),
            models.CheckConstraint(
                condition=Q(kind=0) | (~Q(source_version="") & ~Q(source_version=F("version"))),
                name="delta_package_has_another_source_version",
            ),
        )
        indexes = (models.Index(fields=("product", "id"), name="package_by_product"),)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class PackageFile(models.Model):
    """One of the 1 to 20 files of a package; digests are computed while the upload streams in."""

    package = models.ForeignKey(UpdatePackage, on_delete=models.CASCADE, related_name="files", db_index=False)
    position = models.SmallIntegerField()
    """1 … 20; also the `streamFileId` of a download over MQTT."""
    name = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField()
    md5 = models.CharField(max_length=32)
    sha256 = models.CharField(max_length=64)
    file = models.FileField(upload_to="packages/%Y/%m", max_length=255)

    class Meta:
        ordering = ("position",)
        constraints = (
            models.UniqueConstraint(fields=("package", "position"), name="package_file_position_unique"),
            models.UniqueConstraint(fields=("package", "name"), name="package_file_name_unique"),
            models.CheckConstraint(condition=Q(position__gte=1, position__lte=20), name="package_file_position_range"),
            models.CheckConstraint(condition=Q(size_bytes__gte=1), name="package_file_not_empty"),
        )

    def __str__(self) -> str:
        return self.name
