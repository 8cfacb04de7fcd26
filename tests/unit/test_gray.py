"""The hash that chooses the devices of a gray update."""

import sqlite3
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches_app.domain.policy import gray_count
from batches_app.sql.gray import PRIME, expression, rank

seeds = st.text(alphabet="0123456789abcXYZ", min_size=26, max_size=26)
device_ids = st.integers(min_value=1, max_value=PRIME - 1)


@given(seeds, device_ids)
def test_sql_and_python_agree(seed: str, device_id: int) -> None:
    """The expression that both databases compute is the documented function; no product overflows 64 bits."""
    with sqlite3.connect(":memory:") as database:
        sql = expression(seed, "?1").replace("%%", "%")
        (found,) = database.execute(f"SELECT {sql}", (device_id,)).fetchone()
    database.close()
    assert found == rank(seed, device_id)
    assert 0 <= found < PRIME


@given(seeds, st.integers(min_value=1, max_value=PRIME - 3_000))
def test_no_two_devices_share_a_hash(seed: str, first: int) -> None:
    """Exactly the asked number of devices lies at or below a threshold."""
    assert len({rank(seed, device_id) for device_id in range(first, first + 2_000)}) == 2_000


@pytest.mark.parametrize("seed", ["0VCtoMtsTQjry2vUmnFkF2LNCa", "0VCtoMts9lT9Qi69W0hjOoNvz3"])
def test_choice_is_spread_over_the_fleet(seed: str) -> None:
    """Ten per cent of a fleet with consecutive ids come from all over it.

    Each tenth gives 7 to 13 per cent of its devices.
    """
    chosen = sorted(range(1, 10_001), key=lambda device_id: rank(seed, device_id))[:1_000]
    tenths = [sum(low < device_id <= low + 1_000 for device_id in chosen) for low in range(0, 10_000, 1_000)]
    assert all(70 <= count <= 130 for count in tenths)


def test_two_batches_choose_differently() -> None:
    """The same device is not always the guinea pig.

    Two batches over 10,000 devices share about a tenth of their tenth.
    """
    first, second = (
        set(sorted(range(1, 10_001), key=lambda device_id: rank(seed, device_id))[:1_000])
        for seed in ("0VCtoMtsTQjry2vUmnFkF2LNCa", "0VCtoMts9lT9Qi69W0hjOoNvz3")
    )
    assert 60 <= len(first & second) <= 140


def test_a_larger_share_holds_the_smaller_one() -> None:
    """The order of devices is fixed, so that a share can grow."""
    ranks = sorted(rank("0VCtoMtsTQjry2vUmnFkF2LNCa", device_id) for device_id in range(1, 1_000))
    assert all(low < high for low, high in pairwise(ranks))


@pytest.mark.parametrize(
    ("eligible", "percent", "expected"),
    [
        (100, "33.33", 33),
        (10, "1", 1),
        (1, "0.001", 1),
        (0, "50", 0),
        (3, "100", 3),
        (1_000, "0.15", 1),
        (200, "0.999", 1),
    ],
)
def test_share_is_rounded_down_but_never_to_nobody(eligible: int, percent: str, expected: int) -> None:
    """rules.md §4: floor(n × percent / 100), at least 1."""
    assert gray_count(eligible, Decimal(percent)) == expected
