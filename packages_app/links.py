"""Signed, expiring download links: `/d/<task>/<position>` for devices, `/p/<package>/<position>` for people.

Pure and fast, since a link is made for every push. No I/O, no framework; whether the task behind a link still lives
is not known here (`downloads` asks). Devices send no authentication header, so the query carries the signature
(interop.md 7).
"""

import hmac
import re
from datetime import datetime, timedelta
from enum import Enum
from hashlib import blake2b
from typing import Final, NamedTuple

MAX_LIFETIME: Final = timedelta(days=7)
"""rules.md §5."""
MAX_HOST_LENGTH: Final = 255
MAX_PATH_LENGTH: Final = 255
"""The C Link SDK keeps host and path, query included, in buffers of 256 characters each (vendor reference §4.8)."""
MAX_POSITION: Final = 20

_LABEL: Final = b"ota-console download link 1"
_SIGNATURE_BYTES: Final = 16
_PATH: Final = re.compile(r"/([dp])/([0-9A-Za-z]{26})/([1-9][0-9]?)", re.ASCII)
_QUERY: Final = re.compile(r"e=([0-9]{10,11})&s=([0-9a-f]{32})", re.ASCII)


class LinkKind(Enum):
    """Who follows the link: the first letter of its path."""

    DEVICE = "d"
    """Names a task; dies with it."""
    PERSON = "p"
    """Names a package."""


class Link(NamedTuple):
    """What a link names: a file of a task's package, or of a package."""

    kind: LinkKind
    public_id: str
    position: int
    """1 … 20."""


class LinkProblem(Enum):
    """Why a link is not followed."""

    MALFORMED = "malformed"
    FORGED = "forged"
    EXPIRED = "expired"


def derive_key(secret: str) -> bytes:
    """The signing key for links, from the installation's secret key."""
    return hmac.digest(secret.encode(), _LABEL, "sha256")


def signed_path(link: Link, *, now: datetime, expires_at: datetime, key: bytes) -> str:
    """Path and query, under 256 characters; `expires_at` is cut to the second. Raises ValueError beyond 7 days."""
    if expires_at - now > MAX_LIFETIME:
        message = "a download link lives at most 7 days"
        raise ValueError(message)
    path = f"/{link.kind.value}/{link.public_id}/{link.position}"
    expires = int(expires_at.timestamp())
    return f"{path}?e={expires}&s={_signature(path, expires, key)}"


def checked_base_url(url: str) -> str:
    """The announced base URL (`DOWNLOAD_URL`) without its last slash. Raises ValueError where devices cannot use it."""
    match = re.fullmatch(r"https?://([^/?#\s]+)((?:/[^?#\s]*?)?)/*", url)
    if match is None:
        message = f"{url!r} is not an http or https URL without query"
        raise ValueError(message)
    host, prefix = match.groups()
    if len(host) > MAX_HOST_LENGTH or len(prefix) > MAX_PATH_LENGTH - _LONGEST_SIGNED_PATH:
        message = f"{url!r} is too long: devices keep host and path in 255 characters each"
        raise ValueError(message)
    return url.rstrip("/")


def check_path(path: str, query: str, *, now: datetime, key: bytes) -> Link | LinkProblem:
    """What a request's path and raw query name, if they were signed by us and are still valid."""
    named, signed = _PATH.fullmatch(path), _QUERY.fullmatch(query)
    if named is None or signed is None or int(named[3]) > MAX_POSITION:
        return LinkProblem.MALFORMED
    expires = int(signed[1])
    if not hmac.compare_digest(signed[2], _signature(path, expires, key)):
        return LinkProblem.FORGED
    if expires <= now.timestamp():
        return LinkProblem.EXPIRED
    return Link(LinkKind(named[1]), named[2], int(named[3]))


def _signature(path: str, expires: int, key: bytes) -> str:
    """Keyed BLAKE2 (RFC 7693): as good as an HMAC, in a fraction of its time; a link is made for every push."""
    return blake2b(f"{path}?{expires}".encode(), digest_size=_SIGNATURE_BYTES, key=key).hexdigest()


_LONGEST_SIGNED_PATH: Final = len("/d//20?e=&s=") + 26 + 11 + 2 * _SIGNATURE_BYTES
