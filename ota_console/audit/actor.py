"""Who acts: a signed-in person, a program with a token, or the machine itself."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` is kept in history and audit beside the user's key, since it outlives the account."""

    user_id: int | None
    name: str


SYSTEM: Final = Actor(None, "system")
"""Timers and sweeps."""
