"""The counts that a loss is divided by."""

from __future__ import annotations

from collections.abc import Sequence

from ..contract.rows import Row, Totals
from .world import World


def count(rows: Sequence[Row], *, sampled: int = 1) -> Totals:
    """Counts of rows. A bare prompt counts as ``sampled`` completions: as many as will be drawn for it."""
    return Totals(
        rows=float(len(rows)),
        completions=float(sum(len(row.completions) or sampled for row in rows)),
        tokens=float(sum(len(tokens) for row in rows for tokens in row.completions)),
    )


def count_over_ranks(rows: Sequence[Row], world: World) -> Totals:
    """Counts of this rank's rows and of all other ranks' together."""
    return Totals(**world.sum(vars(count(rows))))
