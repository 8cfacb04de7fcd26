"""Public ids: opaque, unguessable, sortable by the time of their making.

26 base-62 characters: 8 of milliseconds since 1970, then 18 random ones (107 bits). ASCII order is time order.
"""

import secrets
from datetime import datetime
from typing import Final

from ota_console.core import clock

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LENGTH: Final = 26
TIME_LENGTH: Final = 8


def new_public_id(at: datetime | None = None) -> str:
    """A new id; `at` (default: now) decides its place in the order."""
    milliseconds = int((at or clock.now()).timestamp() * 1000)
    random_part = secrets.randbelow(len(ALPHABET) ** (LENGTH - TIME_LENGTH))
    return _base62(milliseconds, TIME_LENGTH) + _base62(random_part, LENGTH - TIME_LENGTH)


def new_secret(length: int = 32) -> str:
    """A random secret of base-62 characters, for a device, a product or a password."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, rest = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[rest])
    return "".join(reversed(digits))
