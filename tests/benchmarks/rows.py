"""The rows of the table, in their order; Django is ready when this module is imported."""

from collections.abc import Callable, Collection
from pathlib import Path

from tests.benchmarks.cancel import Cancel
from tests.benchmarks.ingest import STEPS, Ingest
from tests.benchmarks.launch import Launch
from tests.benchmarks.measure import Contest, Result, measure
from tests.benchmarks.push import Push

REPORTS_EACH = 2
"""Reports for each device of the benchmark's size."""


def contests(device_count: int, folder: Path) -> dict[str, Callable[[], Contest]]:
    """Row → what makes its work; each wipes what the one before left."""
    reports = REPORTS_EACH * device_count
    return {
        "B1": lambda: Launch(device_count=device_count),
        "B2": lambda: Push(device_count=device_count, folder=folder),
        "B3": lambda: Ingest(row="B3", message_count=reports, steps=STEPS, bar=0.7, folder=folder),
        "B3w": lambda: Ingest(row="B3w", message_count=reports, steps=(50,), bar=0.5, folder=folder),
        "B7": lambda: Cancel(device_count=device_count),
    }


def run(
    *, device_count: int, repeats: int, names: Collection[str], folder: Path, tell: Callable[[str], None]
) -> list[Result]:
    """Measure the named rows, all where none is named."""
    return [
        measure(make(), repeats, tell)
        for name, make in contests(device_count, folder).items()
        if not names or name in names
    ]
