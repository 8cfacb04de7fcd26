"""Creating and deleting packages where something goes wrong on the way: nothing half done stays."""

from collections.abc import Callable, Iterator
from hashlib import md5, sha256
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from pytest_django import DjangoCaptureOnCommitCallbacks

from devices_app.models import Product
from ota_console.audit.actor import SYSTEM
from ota_console.core.errors import Invalid
from packages_app.commands.create import PackageDraft, create_package
from packages_app.commands.delete import delete_package
from packages_app.digests import Digests
from packages_app.models import PackageFile, UpdatePackage
from packages_app.uploads import ReceivedFile
from tests.factories import NOW, make_package, make_product

pytestmark = pytest.mark.django_db
CONTENT = b"firmware"


class SlowFile(ContentFile[bytes]):
    """A file that gives others time while it is read."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__(CONTENT, name="firmware.bin")
        self._meanwhile = meanwhile

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        self._meanwhile()
        yield from super().chunks(chunk_size)


def received(file: ContentFile[bytes]) -> ReceivedFile:
    digests = Digests(len(CONTENT), md5(CONTENT, usedforsecurity=False).hexdigest(), sha256(CONTENT).hexdigest())
    return ReceivedFile("firmware.bin", digests, file)


def draft(product: Product) -> PackageDraft:
    return PackageDraft(product=product.product_key, name="meter-fw", version="2.0")


def stored_files() -> set[Path]:
    return {path for path in (Path(settings.MEDIA_ROOT) / "packages").rglob("*") if path.is_file()}


def test_a_name_taken_while_the_files_are_stored_is_named() -> None:
    """The slower of two uploads is told, and leaves no file behind."""
    product = make_product()
    rival = SlowFile(lambda: make_package(product, name="meter-fw"))
    with pytest.raises(Invalid) as caught:
        create_package(draft=draft(product), files=[received(rival)], actor=SYSTEM, now=NOW)
    assert caught.value.errors == {"name": ["Another update package has this name. Choose another name."]}
    kept = {Path(file.file.path) for file in PackageFile.objects.all()}
    assert {path for path in stored_files() if path.name.startswith(UpdatePackage.objects.get().public_id)} <= kept


def test_a_storage_that_fails_leaves_nothing() -> None:
    """The first file is stored, the second cannot be: neither stays, and no row either."""
    before = stored_files()

    def fail() -> None:
        message = "no space left"
        raise OSError(message)

    files = [
        received(ContentFile(CONTENT)),
        ReceivedFile("b.bin", received(ContentFile(CONTENT)).digests, SlowFile(fail)),
    ]
    with pytest.raises(OSError, match="no space left"):
        create_package(draft=draft(make_product()), files=files, actor=SYSTEM, now=NOW)
    assert stored_files() == before
    assert not UpdatePackage.objects.exists()


def test_files_leave_the_storage_only_after_the_commit(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    """A deletion that is rolled back must find them."""
    package = make_package(make_product())
    path = Path(PackageFile.objects.get().file.path)
    with django_capture_on_commit_callbacks() as callbacks:
        delete_package(package=package.public_id, actor=SYSTEM, now=NOW)
        assert path.exists()
    callbacks[0]()
    assert not path.exists()
