"""What the download server answers where files or the database are in trouble, and how it goes on without sendfile."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from django.db import OperationalError

from ota_console.core.clock import FakeClock
from packages_app.downloads import DownloadServer
from packages_app.links import Link, LinkKind, derive_key, signed_path
from packages_app.models import PackageFile, UpdatePackage
from tests.factories import make_package, make_product

pytestmark = pytest.mark.django_db
CONTENT = bytes(range(256)) * 4
KEY = derive_key("a key for this test")
TASK = "0" * 26


@pytest.fixture
def package() -> UpdatePackage:
    return make_package(make_product(), content=CONTENT)


class Client:
    """Calls the application as a WSGI server does."""

    def __init__(self, server: DownloadServer, path: str) -> None:
        self.server = server
        self.path, _, self.query = path.partition("?")
        self.status = ""
        self.headers: dict[str, str] = {}

    def get(self, **headers: str) -> bytes:
        environ: dict[str, Any] = {"PATH_INFO": self.path, "QUERY_STRING": self.query, **headers}
        setup_testing_defaults(environ)
        body: Any = self.server(environ, self._start)
        content = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        return content

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        self.status, self.headers = status, dict(headers)


def client_of(now: datetime, package_id: int | None) -> Client:
    """For the first file of the package, by the link of a task."""
    link = Link(LinkKind.DEVICE, TASK, 1)
    path = signed_path(link, now=now, expires_at=now + timedelta(hours=1), key=KEY)
    clock = FakeClock(now)
    return Client(DownloadServer(key=KEY, is_task_alive={TASK: package_id}.get, now=clock), path)


def test_a_server_without_sendfile_gets_blocks(package: UpdatePackage, now: datetime) -> None:
    """The whole file, and no byte beyond a range."""
    client = client_of(now, package.pk)
    assert client.get() == CONTENT
    assert client.get(HTTP_RANGE="bytes=3-9") == CONTENT[3:10]
    assert client.headers["Content-Length"] == "7"


def test_a_lost_file_is_not_found(package: UpdatePackage, now: datetime) -> None:
    """Somebody removed it from the disk."""
    Path(PackageFile.objects.get(package=package).file.path).unlink()
    client = client_of(now, package.pk)
    assert (client.get(), client.status) == (b"This file is not in the storage.\n", "404 Not Found")


def test_a_damaged_file_is_not_given_out(package: UpdatePackage, now: datetime) -> None:
    """A device would only find out after the whole download."""
    Path(PackageFile.objects.get(package=package).file.path).write_bytes(CONTENT[:-1])
    client = client_of(now, package.pk)
    assert (client.get(), client.status) == (b"This file is not in the storage.\n", "404 Not Found")


def test_a_database_that_is_away_makes_the_device_come_again(now: datetime) -> None:
    """503, and when."""

    def fail(_task: str) -> int | None:
        raise OperationalError

    client = client_of(now, None)
    client.server = DownloadServer(key=KEY, is_task_alive=fail, now=FakeClock(now))
    assert client.get() == b"The server is busy. Try again.\n"
    assert (client.status, client.headers["Retry-After"]) == ("503 Service Unavailable", "10")


def test_a_deleted_packages_link_is_gone(now: datetime) -> None:
    """A person is told so."""
    link = Link(LinkKind.PERSON, "1" * 26, 1)
    path = signed_path(link, now=now, expires_at=now + timedelta(hours=1), key=KEY)
    client = Client(client_of(now, None).server, path)
    assert (client.get(), client.status) == (b"This update package has been deleted.\n", "410 Gone")


def test_the_clock_ends_a_link(package: UpdatePackage, now: datetime) -> None:
    """At its second."""
    client = client_of(now, package.pk)
    clock = FakeClock(now)
    client.server = DownloadServer(key=KEY, is_task_alive={TASK: package.pk}.get, now=clock)
    assert client.get() == CONTENT
    clock.advance(hours=1)
    assert (client.get(), client.status) == (b"This download link has expired.\n", "410 Gone")


class ObjectStore(Storage):
    """A storage without paths, as one on the network is."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def exists(self, name: str) -> bool:
        return name in self._objects

    def _save(self, name: str, content: File[bytes]) -> str:
        self._objects[name] = content.read()
        return name

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return ContentFile(self._objects[name], name=name)


@pytest.fixture
def remote() -> Iterator[ObjectStore]:
    field: Any = PackageFile._meta.get_field("file")
    before, field.storage = field.storage, ObjectStore()
    yield field.storage
    field.storage = before


def test_a_storage_without_paths_is_read_in_blocks(remote: ObjectStore, now: datetime) -> None:
    """Ranges too."""
    package = make_package(make_product(), content=CONTENT)
    client = client_of(now, package.pk)
    assert client.get() == CONTENT
    assert client.get(HTTP_RANGE="bytes=-5") == CONTENT[-5:]
