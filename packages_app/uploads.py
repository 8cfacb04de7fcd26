"""Files of update packages on their way in: to a temporary file, with digests computed while the bytes pass by.

Constant memory whatever the size. A file over a limit is read to its end, so that the answer can say what is wrong,
but no more of it is kept. What is wrong in words is said by `commands.checks`; nothing here knows a package.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.core.files import File
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest

from packages_app import limits
from packages_app.digests import DigestBuilder, Digests
from packages_app.selectors import storage

CHUNK_BYTES: Final = 1024 * 1024
"""Few enough calls for speed, and all the memory that an upload takes."""
ABANDONED_AFTER: Final = timedelta(hours=24)
"""No request takes so long; a file that was not written to since has lost its process."""
_PREFIX: Final = "incoming-"


class UploadProblem(Enum):
    """Why the bytes of a file were not kept."""

    TOO_LARGE = "too large"
    TOO_MANY = "too many"


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file as it arrived, ready for `commands.create.create_package`."""

    name: str
    digests: Digests
    content: File[bytes]
    problem: UploadProblem | None = None


class PackageUpload(TemporaryUploadedFile):
    """A file that `PackageUploadHandler` receives, on the disk where it will stay: to keep it is to rename it."""

    digests: Digests
    problem: UploadProblem | None = None

    def __init__(self, name: str, content_type: str, charset: str | None) -> None:
        file = NamedTemporaryFile(prefix=_PREFIX, dir=_incoming_directory())  # noqa: SIM115  # lives on
        UploadedFile.__init__(self, file, name, content_type, 0, charset)


class PackageUploadHandler(FileUploadHandler):
    """For the views that receive update packages: `receive_packages(request)` before the request is parsed."""

    chunk_size = CHUNK_BYTES

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self._file_count = 0
        self._made: list[PackageUpload] = []

    def handle_raw_input(
        self,
        input_data: Any,
        META: dict[str, str],  # noqa: N803  # Django's name
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        """Refuse at once what is announced as larger than any package may be."""
        if content_length > limits.MAX_REQUEST_BYTES:
            message = f"An update package has at most {limits.MAX_FILES} files of {limits.MAX_FILE_MEGABYTES} MB."
            raise RequestDataTooBig(message)

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Start the next file."""
        super().new_file(*args, **kwargs)
        self._file_count += 1
        self._digests = DigestBuilder()
        self.file = PackageUpload(self.file_name or "", self.content_type or "", self.charset)
        self._made.append(self.file)
        self.file.problem = UploadProblem.TOO_MANY if self._file_count > limits.MAX_FILES else None

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Keep and digest the next bytes, or drop them once the file is over a limit."""
        if self.file.problem is not None:
            return
        if start + len(raw_data) > limits.MAX_FILE_BYTES:
            self.file.problem = UploadProblem.TOO_LARGE
            self.file.truncate(0)
            return
        self._digests.feed(raw_data)
        self.file.write(raw_data)

    def file_complete(self, file_size: int) -> PackageUpload:
        """The file has arrived whole."""
        self.file.seek(0)
        self.file.digests = self._digests.result()
        self.file.size = file_size
        return self.file

    def upload_interrupted(self) -> None:
        """The client went away: nothing of the file stays."""
        self.discard()

    def discard(self) -> None:
        """Nothing stays of what nobody kept. Django forgets files whose request was cut off, without closing them."""
        for file in self._made:
            file.close()


@contextlib.contextmanager
def receive_packages(request: HttpRequest) -> Iterator[None]:
    """Let this request's files come in through `PackageUploadHandler`. Must begin before its body is parsed."""
    handler = PackageUploadHandler(request)
    request.upload_handlers = [handler]
    try:
        yield
    finally:
        handler.discard()


def received_files(uploads: Sequence[UploadedFile[bytes]]) -> tuple[ReceivedFile, ...]:
    """The uploads of one request, in order; digests are computed here for those that came in by another handler."""
    return tuple(_received(upload) for upload in uploads)


def sweep_incoming(*, now: datetime) -> int:
    """Delete what killed processes left behind; how many files. An upload that still grows is younger than that.

    Where files are not stored locally, the system sweeps its own place for temporary files.
    """
    folder = _incoming()
    if folder is None:
        return 0
    oldest, count = (now - ABANDONED_AFTER).timestamp(), 0
    for path in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # its request, or another sweep, was faster
            if path.stat().st_mtime < oldest:
                path.unlink()
                count += 1
    return count


def _incoming() -> Path | None:
    """Beside the stored files where these are local."""
    try:
        return Path(storage().path("incoming"))
    except NotImplementedError:
        return None


def _incoming_directory() -> str | None:
    """None: the system's place for temporary files."""
    directory = _incoming()
    if directory is None:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    return str(directory)


def _received(upload: UploadedFile[bytes]) -> ReceivedFile:
    name = upload.name or ""
    if isinstance(upload, PackageUpload):
        return ReceivedFile(name, upload.digests, upload, upload.problem)
    builder = DigestBuilder()
    for chunk in upload.chunks(CHUNK_BYTES):
        builder.feed(chunk)
    upload.seek(0)
    return ReceivedFile(name, builder.result(), upload)
