"""How a minibatch is cut into forward passes: as the recipe says, or so that they fit by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from ..contract.rows import Row
from ..policy.batching import FAST_TOKENS, micro_batches
from .memory import counting_kept, free_memory

if TYPE_CHECKING:
    from .context import TrainablePolicy

BatchTokens = int | Literal["auto"]

SHARE: Final = 0.5
"""Of the free memory that a forward pass may keep: the backward pass takes half as much again, others want some."""


class MicroBatches:
    """Cuts rows by ``tokens``, the most of one pass (a longer row goes alone).

    With ``"auto"`` they are not known until the first pass, of the longest row alone: what it keeps for its backward
    pass, per token, says how many fit into the memory that is free. No pass is made for this alone.

    Attributes:
        tokens: None until they are known.
        bytes_per_token: what was measured; None where nothing had to be.
    """

    def __init__(self, option: BatchTokens, policy: TrainablePolicy) -> None:
        self.tokens = None if option == "auto" else option
        self.bytes_per_token: float | None = None
        self._policy = policy

    def of(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """Each part is to be worked on, inside :meth:`watched`, before the next is asked for."""
        waiting = list(rows)
        if self.tokens is None and waiting:
            longest = max(range(len(waiting)), key=lambda index: waiting[index].cost)
            yield [waiting.pop(longest)]
        if waiting:
            assert self.tokens is not None, "the first part was watched"
            # Of like length, for models that pad; within one minibatch, so that its gradient stays what it is.
            yield from micro_batches(sorted(waiting, key=lambda row: row.cost), self.tokens)

    @contextmanager
    def watched(self, part: Sequence[Row]) -> Iterator[None]:
        """Around the forward pass of a part."""
        if self.tokens is not None:
            yield
            return
        model = self._policy
        weights = [*model.trained().values(), *model.frozen().values()]
        with counting_kept(weights) as kept:
            yield
        self.bytes_per_token = kept.size / sum(row.cost for row in part)
        free = free_memory(model.device)
        most = FAST_TOKENS.get(model.device.type, FAST_TOKENS["cuda"])
        # A loss that keeps nothing fits at any size.
        fits = int(SHARE * free / self.bytes_per_token) if free is not None and kept.size else most
        self.tokens = max(1, min(most, fits))
