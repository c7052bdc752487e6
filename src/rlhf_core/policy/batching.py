"""Rows into batches that fit into memory."""

from __future__ import annotations

from collections.abc import Sequence

from ..contract.rows import RowT


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
