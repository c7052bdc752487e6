"""Which rows make batch i: the order of the data without any state but i."""

from __future__ import annotations

import functools
import math
import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Cursor:
    """Rows in an order that is new in each epoch; every row comes once before any comes again.

    The order is one endless row of epochs, so that the last batch of an epoch is filled from the next one and all
    batches have the same size. Batch i depends on (rows, batch size, seed, i) alone: a resumed run needs only i.

    Raises: ValueError for no rows or an empty batch.
    """

    n_rows: int
    batch_size: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_rows < 1 or self.batch_size < 1:
            raise ValueError(f"a cursor needs rows and a batch size, found {self.n_rows} and {self.batch_size}")

    def batch(self, index: int) -> list[int]:
        """The row indices of batch ``index`` (0-based)."""
        start = index * self.batch_size
        return [self._at(position) for position in range(start, start + self.batch_size)]

    def epoch(self, index: int) -> float:
        """How many epochs have been gone through before batch ``index``."""
        return index * self.batch_size / self.n_rows

    @property
    def batches_per_epoch(self) -> int:
        """Batches until every row has come at least once."""
        return math.ceil(self.n_rows / self.batch_size)

    def batches(self, epochs: float) -> int:
        """Batches that go through the rows ``epochs`` times, rounded up."""
        return math.ceil(epochs * self.n_rows / self.batch_size - 1e-9)

    def _at(self, position: int) -> int:
        epoch, place = divmod(position, self.n_rows)
        return _permutation(self.n_rows, self.seed, epoch)[place]


@functools.lru_cache(maxsize=4)
def _permutation(n_rows: int, seed: int, epoch: int) -> tuple[int, ...]:
    order = list(range(n_rows))
    random.Random(f"{seed}:{epoch}").shuffle(order)  # text seeds are hashed, so neighbouring seeds share nothing
    return tuple(order)
