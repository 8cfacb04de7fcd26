"""MD5 and SHA-256 of a stream, computed while its bytes pass by. Pure: no I/O, no framework.

MD5 is not used for security here: devices compare it after a download because the vendor's protocol says so.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Digests:
    """Size in bytes and lower-case hex digests of a file."""

    size_bytes: int
    md5: str
    sha256: str


class DigestBuilder:
    """Feed it chunks in order, then ask for `result`; it keeps nothing of them."""

    __slots__ = ("_md5", "_sha256", "size_bytes")

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self.size_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Add the next bytes of the stream."""
        self._md5.update(chunk)
        self._sha256.update(chunk)
        self.size_bytes += len(chunk)

    def result(self) -> Digests:
        """Digests of everything fed so far."""
        return Digests(self.size_bytes, self._md5.hexdigest(), self._sha256.hexdigest())
