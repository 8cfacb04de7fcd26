"""What others need to know of packages and their files: for pushes, for downloads, for pages. Reads only."""

from dataclasses import dataclass
from typing import Final

from django.core.files.storage import Storage
from django.db.models import Count, QuerySet, Sum
from django.utils.translation import gettext as _

from devices_app.models import Module, Product
from ota_console.core.errors import NotFound
from packages_app.models import PackageFile, UpdatePackage

_FILE_FIELDS: Final = ("position", "name", "size_bytes", "md5", "sha256", "file", "package__sign_method")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of a package, as pushes and downloads need it. Digests are lower-case hex."""

    position: int
    """1 … 20; also its number in a download over MQTT."""
    name: str
    size_bytes: int
    md5: str
    sha256: str
    sign_method: UpdatePackage.SignMethod
    stored_name: str
    """Where `storage()` keeps it."""

    @property
    def sign(self) -> str:
        """The digest by the package's sign method."""
        return self.sha256 if self.sign_method is UpdatePackage.SignMethod.SHA256 else self.md5


def storage() -> Storage:
    """Where the files of packages are kept."""
    return PackageFile._meta.get_field("file").storage


def package_files(package_id: int) -> tuple[FileFacts, ...]:
    """The files of a package by position; empty for an unknown package. One query."""
    rows = PackageFile.objects.filter(package_id=package_id).order_by("position").values_list(*_FILE_FIELDS)
    return tuple(_facts(*row) for row in rows)


def package_file(package_id: int, position: int) -> FileFacts | None:
    """One file of a package. One query."""
    row = PackageFile.objects.filter(package_id=package_id, position=position).values_list(*_FILE_FIELDS).first()
    return None if row is None else _facts(*row)


def package_id_of(public_id: str) -> int | None:
    """The key behind a public id; None: no such package."""
    return UpdatePackage.objects.filter(public_id=public_id).values_list("pk", flat=True).first()


def _facts(
    position: int, name: str, size_bytes: int, md5: str, sha256: str, stored_name: str, method: str
) -> FileFacts:
    return FileFacts(position, name, size_bytes, md5, sha256, UpdatePackage.SignMethod(method), stored_name)


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """A package as pages show it: what it is, and which actions its status allows."""

    package: UpdatePackage
    size_bytes: int
    file_count: int

    @property
    def state(self) -> str:
        """The status by name."""
        return UpdatePackage.Status(self.package.status).name

    @property
    def is_delta(self) -> bool:
        return self.package.kind == UpdatePackage.Kind.DELTA

    @property
    def why_not_verify(self) -> str:
        """Why a verification cannot be started; empty: it can (vendor reference §1.4)."""
        reasons = {
            "VERIFIED": _("Already verified"),
            "VERIFYING": _("Verification is running"),
            "VERIFICATION_NOT_REQUIRED": _("This package needs no verification"),
        }
        return reasons.get(self.state, "")

    @property
    def why_not_launch(self) -> str:
        """Why no batch update can be launched; empty: one can (vendor reference §2.2)."""
        if self.state in {"VERIFIED", "VERIFICATION_NOT_REQUIRED"}:
            return ""
        return _("Verification is running") if self.state == "VERIFYING" else _("Verify this package first")


def packages() -> "QuerySet[UpdatePackage]":
    """Packages with what every list says of one, newest first; `total_bytes` and `file_count` of their files."""
    related = UpdatePackage.objects.select_related("product", "module", "created_by")
    return related.annotate(total_bytes=Sum("files__size_bytes"), file_count=Count("files")).order_by("-pk")


def as_facts(package: UpdatePackage) -> PackageFacts:
    """Of a row of `packages()`."""
    return PackageFacts(package, getattr(package, "total_bytes", None) or 0, getattr(package, "file_count", 0))


def package_facts(public_id: str) -> PackageFacts:
    """One package. One query. Raises `NotFound`."""
    package = packages().filter(public_id=public_id).first()
    if package is None:
        raise NotFound("package_unknown", _("There is no such update package."))
    return as_facts(package)


def package_count() -> int:
    """How many packages the console keeps."""
    return UpdatePackage.objects.count()


def product_choices() -> list[tuple[str, str]]:
    """Product key and name, by name."""
    return list(Product.objects.order_by("name").values_list("product_key", "name"))


def module_choices(product_key: str = "") -> list[str]:
    """The names of a product's modules, or of all products', by name; `default` first."""
    found = Module.objects.filter(product__product_key=product_key) if product_key else Module.objects.all()
    names = sorted(set(found.values_list("name", flat=True)), key=lambda name: (name != "default", name))
    return names or ["default"]
