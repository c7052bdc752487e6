"""Rows into batches that fit into memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ..contract.rows import RowT

FAST_TOKENS: Final[Mapping[str, int]] = {"cpu": 1024, "cuda": 2**16}
"""Tokens in a forward pass, by device, beyond which more make it no faster.

On a CPU 512 to 2048 are the fastest, and 4096 a tenth slower: what they keep no longer fits the cache.
"""


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
