"""What simulated devices will do is known beforehand."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices_app.simulator.behaviour import ALL_SUCCEED, DEFAULT_SHARES, FAILURE_CODES, Kind, behaviour, wrong_version


def kinds(count: int, seed: int = 7) -> Counter[Kind]:
    return Counter(behaviour(seed, f"meter-{number:05d}").kind for number in range(count))


def test_the_fleet_of_a_seed_is_always_the_same() -> None:
    """On every machine and in every version: tests and demonstrations count on it."""
    assert kinds(200) == {
        Kind.SUCCEEDS: 161,
        Kind.SLOW: 2,
        Kind.OFFLINE: 12,
        Kind.UPDATE_FAILS: 6,
        Kind.DOWNLOAD_FAILS: 4,
        Kind.VERIFICATION_FAILS: 3,
        Kind.FLASHING_FAILS: 4,
        Kind.WRONG_VERSION: 3,
        Kind.IGNORES: 5,
    }


def test_another_seed_is_another_fleet() -> None:
    """Device by device."""
    assert any(behaviour(7, f"d{n}").kind != behaviour(8, f"d{n}").kind for n in range(50))


@pytest.mark.parametrize("kind", DEFAULT_SHARES)
def test_shares_are_kept(kind: Kind) -> None:
    """To within a percent, in a large fleet."""
    assert abs(kinds(20_000)[kind] / 200 - DEFAULT_SHARES[kind]) < 1


@given(st.integers(), st.text(min_size=1, max_size=32))
def test_values_stay_in_their_ranges(seed: int, name: str) -> None:
    """Whatever the seed and the name."""
    found = behaviour(seed, name)
    assert 1 <= found.step_seconds <= 12
    assert found.fails_at in (25, 50, 75)
    assert 5 <= found.offline_seconds <= 15
    assert 1 <= found.reboot_seconds <= 4
    assert found.qos in (0, 1)


@given(st.integers(), st.text(min_size=1, max_size=32))
def test_shares_can_be_chosen(seed: int, name: str) -> None:
    """All of one kind, or none but successes."""
    assert behaviour(seed, name, ALL_SUCCEED).ends_updated
    for kind in Kind:
        if kind is not Kind.SUCCEEDS:
            assert behaviour(seed, name, {kind: 100}).kind is kind


def test_each_failure_has_its_code() -> None:
    """The seed's four; the others have none."""
    codes = {kind: behaviour(7, "d", {kind: 100}).failure_code for kind in Kind}
    assert {kind: code for kind, code in codes.items() if code is not None} == FAILURE_CODES
    assert sorted(FAILURE_CODES.values()) == [-4, -3, -2, -1]


def test_a_wrong_version_is_a_version() -> None:
    """It differs from the right one and is not too long."""
    for version in ("2.0", "9" * 64):
        assert wrong_version(version) != version
        assert len(wrong_version(version)) <= 64
