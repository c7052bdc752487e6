"""Rows into micro-batches that fit, and the counts that a loss is divided by."""

from __future__ import annotations

from collections.abc import Sequence

from ..contract.rows import Row, RowT, Totals
from .world import World


def micro_batches(rows: Sequence[RowT], budget: int) -> list[list[RowT]]:
    """Consecutive rows whose ``cost`` sums to at most ``budget`` tokens; a row above it goes alone."""
    batches: list[list[RowT]] = []
    used = 0
    for row in rows:
        if not batches or used + row.cost > budget:
            batches.append([])
            used = 0
        batches[-1].append(row)
        used += row.cost
    return batches


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
