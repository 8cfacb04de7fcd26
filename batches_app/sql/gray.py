"""The hash of (batch, device) that chooses the devices of a gray update, in integers that both dialects share.

Two linear rounds modulo a prime around a cube. The prime leaves a remainder of 2 by 3, so cubing permutes the residues
and no two devices of a batch have the same hash (device ids below the prime): a share of a fleet is exact to the
device. Every product stays below 2**62.
"""

import hashlib
from typing import Final, NamedTuple

PRIME: Final = 2_147_483_579


class Rounds(NamedTuple):
    """The constants of one batch."""

    factor: int
    shift: int
    last_factor: int
    last_shift: int


def rounds_of(seed: str) -> Rounds:
    """Constants from the batch's public id: random looking, the same at every run."""
    digest = hashlib.sha256(seed.encode()).digest()
    numbers = [int.from_bytes(digest[i : i + 8], "big") for i in range(0, 32, 8)]
    return Rounds(
        factor=numbers[0] % (PRIME - 1) + 1,
        shift=numbers[1] % PRIME,
        last_factor=numbers[2] % (PRIME - 1) + 1,
        last_shift=numbers[3] % PRIME,
    )


def expression(seed: str, column: str = "d.id") -> str:
    """SQL of the hash, 0 … PRIME − 1. Contains no values of users: the seed only chooses integer constants."""
    a, b, c, e = rounds_of(seed)
    first = f"(({column} * {a} + {b}) %% {PRIME})"
    cube = f"(({first} * {first} %% {PRIME}) * {first} %% {PRIME})"
    return f"(({cube} * {c} + {e}) %% {PRIME})"


def rank(seed: str, device_id: int) -> int:
    """The same in Python."""
    a, b, c, e = rounds_of(seed)
    first = (device_id * a + b) % PRIME
    return (first**3 % PRIME * c + e) % PRIME
