"""The batch under way: this rank's rows, and which of them make each minibatch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..contract.rows import Row
from .world import World


class Collected:
    """What ``collect`` returned on this rank, and where it lies among the rows of all ranks.

    Args:
        row_class: the class of rows that the trainer declares.
        owner: the trainer's name, for messages.
    Raises: RuntimeError when rows are of another class (a checkpoint could not bring them back), or there are none.
    """

    def __init__(self, rows: Sequence[Row], *, row_class: type[Row], owner: str, world: World) -> None:
        for row in rows:
            if type(row) is not row_class:
                raise RuntimeError(
                    f"collect of {owner} returned a {type(row).__name__}, but it declares Row = {row_class.__name__}"
                )
        lengths = world.gather(len(rows))
        self.rows = list(rows)
        self.ends = [sum(lengths[:rank]) for rank in range(world.size + 1)]
        """Rank r holds rows ``ends[r]`` up to ``ends[r + 1]`` of the whole batch."""
        self._start = self.ends[world.rank]
        if not self.ends[-1]:
            raise RuntimeError(f"collect of {owner} returned no rows")

    def minibatches(self, number: int, *, seed: int) -> list[list[Row]]:
        """This rank's share of each minibatch; all ranks shuffle the whole batch alike, as one process would."""
        order = torch.randperm(self.ends[-1], generator=torch.Generator().manual_seed(seed)).tolist()
        size = math.ceil(len(order) / number)
        return [self._mine(order[start : start + size]) for start in range(0, len(order), size)]

    def _mine(self, positions: Sequence[int]) -> list[Row]:
        end = self._start + len(self.rows)
        return [self.rows[position - self._start] for position in positions if self._start <= position < end]
