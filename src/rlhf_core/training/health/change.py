"""How a series moved, beside its noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .history import Series, number

WINDOW = 10
"""Most rows that are averaged at either end."""
SURE = 3.0
"""Standard errors from which a change is one."""
LEAST = {"train": 6, "validation": 3}
"""Fewer rows than this say nothing of a trend."""


@dataclass(frozen=True)
class Change:
    """From the first rows of a series to the last.

    Args:
        before, after: means over the first and the last rows. error: standard error of their difference.
        first, last: the steps between which it is told.
    """

    name: str
    before: float
    after: float
    error: float
    first: int
    last: int

    @property
    def by(self) -> float:
        return self.after - self.before

    @property
    def sigmas(self) -> float:
        """The difference in standard errors, with its sign; infinite where there is no noise."""
        return self.by / self.error if self.error > 0 else math.copysign(math.inf, self.by) if self.by else 0.0

    @property
    def ratio(self) -> float:
        """The difference as a share of where it began."""
        return self.by / abs(self.before) if self.before else math.copysign(math.inf, self.by) if self.by else 0.0

    def rises(self) -> bool:
        return self.sigmas >= SURE

    def falls(self) -> bool:
        return self.sigmas <= -SURE

    def __str__(self) -> str:
        return f"{self.name} {number(self.before)} → {number(self.after)} (steps {self.first} to {self.last})"


def change(series: Series) -> Change | None:
    """None where there are too few rows to tell.

    Held-out rows begin with the untouched model, which is the very thing to compare with: their start is the first row
    alone. Their noise is what they say of it themselves, if they do: they are few, and a trend would pass for scatter.
    Rows of training scatter by their batches, too: of scatter and stated error the larger counts.
    """
    rows = len(series)
    if rows < LEAST[series.split]:
        return None
    late = max(2, min(WINDOW, rows // 3))
    early = 1 if series.split == "validation" else late
    told = [error for error in (*series.errors[:early], *series.errors[-late:]) if error is not None]
    noise = math.sqrt(statistics.fmean(error**2 for error in told)) if told else 0.0
    if series.split == "train" or not told:
        noise = max(noise, _scatter(series.values))
    return Change(
        name=series.name,
        before=statistics.fmean(series.values[:early]),
        after=statistics.fmean(series.values[-late:]),
        error=noise * math.sqrt(1 / early + 1 / late),
        first=series.steps[0],
        last=series.steps[-1],
    )


def _scatter(values: Sequence[float]) -> float:
    """Standard deviation about a slow trend, from the differences of neighbours (von Neumann 1941).

    Their median, so that one leap is a change and not noise.
    """
    squares = [(after - before) ** 2 / 2 for before, after in pairwise(values)]
    return math.sqrt(statistics.median(squares) / 0.455)
