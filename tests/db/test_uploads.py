"""Files on their way in: cut off in the middle, or taken in by another handler."""

import gc
import os
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser
from pytest_django import Settings

from packages_app import uploads
from packages_app.uploads import PackageUploadHandler, received_files, sweep_incoming
from tests.factories import NOW

HEAD = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n'


class CutOff(BytesIO):
    """A client that goes away."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data:
            message = "the client went away"
            raise OSError(message)
        return data


def test_nothing_of_an_interrupted_upload_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client vanishes in the middle of a file."""
    monkeypatch.setattr(PackageUploadHandler, "chunk_size", 1000)
    monkeypatch.setattr(uploads, "CHUNK_BYTES", 1000)
    body = CutOff(HEAD + b"y" * 50_000)
    meta = {"CONTENT_TYPE": "multipart/form-data; boundary=x", "CONTENT_LENGTH": "90000"}
    parse_and_lose(meta, body)
    gc.collect()
    assert list((Path(settings.MEDIA_ROOT) / "incoming").iterdir()) == []


def parse_and_lose(meta: dict[str, str], body: CutOff) -> None:
    """As a request that ends with the connection: nobody holds its parser any more."""
    try:
        MultiPartParser(meta, body, [PackageUploadHandler(HttpRequest())]).parse()
    except OSError as error:
        assert "went away" in str(error)  # noqa: PT017  # pytest.raises would hold the frames, and the file with them
    else:
        pytest.fail("the client did not go away")


def test_what_a_killed_process_left_behind_is_swept_after_a_day() -> None:
    """After a kill -9 in the middle of an upload: nobody else deletes its file. Twice does no harm."""
    folder = Path(settings.MEDIA_ROOT) / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    old, young, other = folder / "incoming-old", folder / "incoming-young", folder / "somebody-elses"
    for path, age in ((old, timedelta(hours=25)), (young, timedelta(hours=23)), (other, timedelta(days=9))):
        path.write_bytes(b"firmware")
        at = (NOW - age).timestamp()
        os.utime(path, (at, at))
    assert [sweep_incoming(now=NOW), sweep_incoming(now=NOW)] == [1, 0]
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)
    young.unlink()
    other.unlink()


def test_a_sweep_before_the_first_upload_finds_nothing(settings: Settings, tmp_path: Path) -> None:
    """There is no folder yet."""
    settings.MEDIA_ROOT = tmp_path
    assert sweep_incoming(now=NOW) == 0


def test_an_upload_through_another_handler_gets_its_digests_here() -> None:
    """And can still be read from its start."""
    (received,) = received_files([SimpleUploadedFile("a.bin", b"firmware")])
    assert (received.digests.size_bytes, received.digests.sha256) == (8, sha256(b"firmware").hexdigest())
    assert received.content.read() == b"firmware"


def test_a_body_that_ends_too_early_brings_no_file() -> None:
    """Without its last line a file may be cut: it is thrown away."""
    body = HEAD + b"y" * 5000
    meta = {"CONTENT_TYPE": "multipart/form-data; boundary=x", "CONTENT_LENGTH": str(len(body))}
    _, files = MultiPartParser(meta, BytesIO(body), [PackageUploadHandler(HttpRequest())]).parse()
    assert not files
    assert list((Path(settings.MEDIA_ROOT) / "incoming").iterdir()) == []
