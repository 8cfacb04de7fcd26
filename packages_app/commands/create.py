"""Create an update package from files that have arrived.

The files are stored first; nothing of them stays if the rest fails.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from devices_app.commands.checks import Errors, found, invalid
from devices_app.commands.trail import note
from devices_app.models import DEFAULT_MODULE, Module, Product
from ota_console.audit.actor import Actor
from ota_console.audit.commands import Target
from ota_console.core.errors import Conflict
from ota_console.core.ids import new_public_id
from packages_app import limits
from packages_app.commands import checks
from packages_app.commands.stored_files import remove_stored_files
from packages_app.models import PackageFile, UpdatePackage
from packages_app.uploads import ReceivedFile


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageDraft:
    """What is said about a package that is uploaded (vendor reference §1.3). Errors come back under these names."""

    product: str
    """Product key."""
    name: str
    version: str
    """The destination version."""
    module: str = DEFAULT_MODULE
    kind: UpdatePackage.Kind = UpdatePackage.Kind.FULL
    source_version: str = ""
    sign_method: UpdatePackage.SignMethod = UpdatePackage.SignMethod.MD5
    needs_verification: bool = True
    custom_info: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCreated:
    """The package exists, with all its files."""

    package_id: int
    public_id: str


def create_package(
    *, draft: PackageDraft, files: Sequence[ReceivedFile], actor: Actor, now: datetime
) -> PackageCreated:
    """Check every limit, store the files, write the package.

    Raises `Invalid` with errors by field of `PackageDraft`, and "files"; `Conflict` code `too_many_packages`.
    """
    module = _checked_module(draft, files)
    public_id = new_public_id(now)
    rows = [_planned(public_id, position, file) for position, file in enumerate(files, start=1)]
    try:
        for row, file in zip(rows, files, strict=True):
            _store(row, file)
        with transaction.atomic():
            package = UpdatePackage.objects.create(public_id=public_id, **_fields(draft, module, files, actor, now))
            _write_files(package, rows)
            note(actor, "package.create", Target("package", public_id), now, name=draft.name, version=draft.version)
    except BaseException as error:
        remove_stored_files(str(row.file.name) for row in rows)
        if isinstance(error, IntegrityError) and UpdatePackage.objects.filter(name=draft.name).exists():
            raise invalid({"name": [name_taken()]}) from error
        raise
    return PackageCreated(package_id=package.pk, public_id=public_id)


def name_taken() -> str:
    """The sentence for a name that another package has."""
    return _("Another update package has this name. Choose another name.")


def _checked_module(draft: PackageDraft, files: Sequence[ReceivedFile]) -> Module:
    errors: Errors = {
        "name": checks.check_name(draft.name),
        **checks.check_versions(draft.kind, draft.version, draft.source_version),
        "custom_info": checks.check_custom_info(draft.custom_info),
        "description": checks.check_description(draft.description),
        "files": checks.check_files(files),
    }
    if not errors["name"] and UpdatePackage.objects.filter(name=draft.name).exists():
        errors["name"] = [name_taken()]
    product = Product.objects.filter(product_key=draft.product).first()
    module = None if product is None else product.modules.filter(name=draft.module).first()
    if product is None:
        errors["product"] = [_("There is no product with this key.")]
    elif module is None:
        errors["module"] = [_("This product has no module of this name.")]
    problems = found(**errors)
    if problems or module is None:
        raise invalid(problems)
    if UpdatePackage.objects.count() >= limits.MAX_PACKAGES:
        message = _(
            "There are %(count)d update packages, as many as the console keeps. Delete one that is no longer needed."
        )
        raise Conflict("too_many_packages", message % {"count": limits.MAX_PACKAGES})
    return module


def _fields(
    draft: PackageDraft, module: Module, files: Sequence[ReceivedFile], actor: Actor, now: datetime
) -> dict[str, Any]:
    status = (
        UpdatePackage.Status.NOT_VERIFIED
        if draft.needs_verification
        else UpdatePackage.Status.VERIFICATION_NOT_REQUIRED
    )
    digests = files[0].digests
    sign = digests.sha256 if draft.sign_method is UpdatePackage.SignMethod.SHA256 else digests.md5
    return {
        "product_id": module.product_id,
        "module": module,
        "name": draft.name,
        "version": draft.version,
        "kind": draft.kind,
        "source_version": draft.source_version,
        "sign_method": draft.sign_method,
        "sign": sign if len(files) == 1 else "",
        "status": status,
        "custom_info": draft.custom_info,
        "description": draft.description,
        "created_by_id": actor.user_id,
        "created_at": now,
        "updated_at": now,
    }


def _write_files(package: UpdatePackage, rows: Sequence[PackageFile]) -> None:
    for row in rows:
        row.package = package
    PackageFile.objects.bulk_create(rows)


def _planned(public_id: str, position: int, file: ReceivedFile) -> PackageFile:
    """The file's row; its name in the storage cannot be guessed and says nothing."""
    digests = file.digests
    row = PackageFile(
        position=position, name=file.name, size_bytes=digests.size_bytes, md5=digests.md5, sha256=digests.sha256
    )
    name = f"{public_id}-{position}{PurePath(file.name).suffix.lower()}"
    row.file.name = row.file.field.generate_filename(row, name)
    return row


def _store(row: PackageFile, file: ReceivedFile) -> None:
    row.file.name = row.file.storage.save(row.file.name, file.content)
