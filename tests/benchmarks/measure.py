"""A row of the table: the product's way and the bare way, measured in turns, as a ratio of medians against a bar.

Machines differ and are noisy, so a figure is only ever a ratio taken in one run. Knows nothing of what is measured.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import median
from typing import Any, Final, Protocol


class Kind(Enum):
    """What a ratio compares."""

    TIME = "≤"
    """Seconds of the product through seconds of the bare way: small is good."""
    RATE = "≥"
    """Pieces a second of the product through those of the bare way: large is good."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a row must reach."""

    kind: Kind
    limit: float

    def ratio(self, product_seconds: float, bare_seconds: float) -> float:
        """For the same work."""
        if self.kind is Kind.TIME:
            return product_seconds / bare_seconds
        return bare_seconds / product_seconds

    def is_met(self, ratio: float) -> bool:
        return ratio <= self.limit if self.kind is Kind.TIME else ratio >= self.limit

    def __str__(self) -> str:
        return f"{self.kind.value} {self.limit:g}"


class Contest(Protocol):
    """A row's work. Each way prepares its own data first, and checks afterwards that the work was done.

    Both unmeasured.
    """

    row: str
    work: str
    piece_count: int
    """Devices or messages, for rates."""
    bar: Bar

    def product(self) -> float:
        """Seconds of the product's way."""

    def bare(self) -> float:
        """Seconds of the bare way."""


@dataclass(slots=True)
class Result:
    """What both ways took, repeat by repeat."""

    row: str
    work: str
    piece_count: int
    bar: Bar
    product_seconds: list[float] = field(default_factory=list)
    bare_seconds: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return self.bar.ratio(median(self.product_seconds), median(self.bare_seconds))

    @property
    def verdict(self) -> str:
        return "met" if self.bar.is_met(self.ratio) else "missed"

    def figures(self, seconds: Sequence[float]) -> str:
        """The median of some repeats, as time and as rate."""
        middle = median(seconds)
        return f"{middle:.3f} s ({self.piece_count / middle:,.0f}/s)"

    def as_json(self) -> dict[str, Any]:
        """One object of `rows`."""
        return {
            "row": self.row,
            "work": self.work,
            "product": self.figures(self.product_seconds),
            "bare": self.figures(self.bare_seconds),
            "ratio": round(self.ratio, 3),
            "bar": str(self.bar),
            "verdict": self.verdict,
        }


def measure(contest: Contest, repeats: int, tell: Callable[[str], None]) -> Result:
    """The two ways in turns, so that what disturbs the machine disturbs both."""
    result = Result(contest.row, contest.work, contest.piece_count, contest.bar)
    for number in range(1, repeats + 1):
        result.product_seconds.append(contest.product())
        result.bare_seconds.append(contest.bare())
        times = f"product {result.product_seconds[-1]:.3f} s, bare {result.bare_seconds[-1]:.3f} s"
        tell(f"{contest.row} repeat {number} of {repeats}: {times}")
    return result


COLUMNS: Final = ("row", "work", "product", "bare limit", "ratio", "bar", "verdict")


def table(results: Sequence[Result]) -> str:
    """The results as text in columns."""
    lines = [COLUMNS, *(tuple(str(value) for value in result.as_json().values()) for result in results)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    return "\n".join(
        " | ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
