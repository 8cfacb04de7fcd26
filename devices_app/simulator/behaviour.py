"""How a simulated device behaves when it is told of an update: a pure function of seed and device name.

A test computes from it how a batch must end. Must not ask a clock, a random source or the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final

MAX_VERSION_LENGTH: Final = 64
WRONG_SUFFIX: Final = "-rolled-back"


class Kind(StrEnum):
    """What becomes of an update on this device, at every attempt."""

    SUCCEEDS = "succeeds"
    SLOW = "slow"
    """Succeeds, four times as slowly."""
    OFFLINE = "offline"
    """Loses its connection half-way, comes back, goes on with the download and succeeds."""
    UPDATE_FAILS = "update-fails"
    DOWNLOAD_FAILS = "download-fails"
    VERIFICATION_FAILS = "verification-fails"
    FLASHING_FAILS = "flashing-fails"
    WRONG_VERSION = "wrong-version"
    """Reports neither the old version nor the new one after its reboot."""
    IGNORES = "ignores"
    """Does nothing at all."""


FAILURE_CODES: Final = {
    Kind.UPDATE_FAILS: -1,
    Kind.DOWNLOAD_FAILS: -2,
    Kind.VERIFICATION_FAILS: -3,
    Kind.FLASHING_FAILS: -4,
}
"""The seed's four codes."""

DEFAULT_SHARES: Final[Mapping[Kind, float]] = {
    Kind.SLOW: 4,
    Kind.OFFLINE: 4,
    Kind.UPDATE_FAILS: 2,
    Kind.DOWNLOAD_FAILS: 2,
    Kind.VERIFICATION_FAILS: 2,
    Kind.FLASHING_FAILS: 2,
    Kind.WRONG_VERSION: 2,
    Kind.IGNORES: 2,
}
"""Percent of the fleet; the rest succeeds."""

ALL_SUCCEED: Final[Mapping[Kind, float]] = {}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One device's character. Seconds are at speed 1."""

    kind: Kind
    step_seconds: float
    """Between two reports of progress."""
    fails_at: int
    """Percent at which a download or an update fails."""
    offline_seconds: float
    reboot_seconds: float
    qos: int
    """Of its reports: vendor SDKs use 0, some 1."""

    @property
    def failure_code(self) -> int | None:
        """−1 … −4, or None."""
        return FAILURE_CODES.get(self.kind)

    @property
    def ends_updated(self) -> bool:
        """It reports the target version in the end."""
        return self.kind in (Kind.SUCCEEDS, Kind.SLOW, Kind.OFFLINE)


def behaviour(seed: int, device_name: str, shares: Mapping[Kind, float] = DEFAULT_SHARES) -> Behaviour:
    """The same for the same seed, name and shares, on every machine."""
    digest = blake2b(f"{seed}:{device_name}".encode(), digest_size=24).digest()
    draws = [int.from_bytes(digest[i : i + 4], "big") / 2**32 for i in range(0, 24, 4)]
    kind = _pick(draws[0] * 100, shares)
    slowness = 4 if kind is Kind.SLOW else 1
    return Behaviour(
        kind=kind,
        step_seconds=(1 + 2 * draws[1]) * slowness,
        fails_at=(25, 50, 75)[int(draws[2] * 3)],
        offline_seconds=5 + 10 * draws[3],
        reboot_seconds=1 + 3 * draws[4],
        qos=int(draws[5] < 0.25),  # noqa: PLR2004 a quarter of the fleet
    )


def wrong_version(version: str) -> str:
    """What a `WRONG_VERSION` device reports instead of `version`."""
    return version[: MAX_VERSION_LENGTH - len(WRONG_SUFFIX)] + WRONG_SUFFIX


def _pick(percent: float, shares: Mapping[Kind, float]) -> Kind:
    """The kinds in their declared order, whatever the order of the mapping."""
    for kind in Kind:
        percent -= shares.get(kind, 0)
        if percent < 0:
            return kind
    return Kind.SUCCEEDS
