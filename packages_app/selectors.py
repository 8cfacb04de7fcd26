"""What others need to know of packages and their files: for pushes, for downloads. Reads only."""

from dataclasses import dataclass
from typing import Final

from django.core.files.storage import Storage

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
