"""An upload of 1,000 MB takes constant memory and has the right digests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import hashlib, io, resource, sys
import django
django.setup()
from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParser
from packages_app.uploads import PackageUploadHandler

MEGABYTE = bytes(range(256)) * 4096
COUNT = 1000
head = b'--x\\r\\nContent-Disposition: form-data; name="files"; filename="a.bin"\\r\\n\\r\\n'

class Body(io.RawIOBase):
    def __init__(self):
        self.parts = iter([head, *[MEGABYTE] * COUNT, b"\\r\\n--x--\\r\\n"])
        self.rest = b""
    def read(self, size=-1):
        if not self.rest:
            self.rest = next(self.parts, b"")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
meta = {"CONTENT_TYPE": "multipart/form-data; boundary=x", "CONTENT_LENGTH": str(len(head) + COUNT * len(MEGABYTE) + 9)}
_, files = MultiPartParser(meta, Body(), [PackageUploadHandler()]).parse()
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
upload = files["files"]
expected = hashlib.sha256()
for _ in range(COUNT):
    expected.update(MEGABYTE)
assert (upload.digests.size_bytes, upload.problem) == (COUNT * 1024 * 1024, None)
assert upload.digests.sha256 == expected.hexdigest()
upload.close()
print(grown)
"""
ALLOWED_KILOBYTES = 32 * 1024


@pytest.mark.slow
def test_an_upload_of_1000_megabytes_takes_constant_memory(tmp_path: Path) -> None:
    """Chunk by chunk to the disk, digests on the way; measured in a process of its own."""
    environment = {**os.environ, "MEDIA_ROOT": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, capture_output=True, text=True)
    assert int(done.stdout) < ALLOWED_KILOBYTES
    assert not list((tmp_path / "incoming").iterdir())
