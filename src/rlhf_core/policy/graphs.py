"""Decoding on a GPU: all that a step launches is recorded once and sent off as one call (a CUDA graph).

A small model's step is some hundred launches of microseconds each, and the GPU waits for them. A recording reads and
writes the same memory every time, so nothing may change its place or its size from one step to the next.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel

from .cache import move_to_front
from .runners import FlatRunner


class GraphedRunner(FlatRunner):
    """As its base, but every step attends to all the room there is, and the mask opens it column by column.

    Samples that were dropped run on, unread, until half of them are gone; then a smaller step is recorded.

    Attributes:
        column: ``[1]``, where the next tokens go.
        tokens: ``[S]``, S samples with those that run on. ``positions`` and ``mask`` are of as many.
        stores: keys and values of each layer, ``[S, kv heads, capacity, D]``.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        self.stores: list[tuple[Tensor, Tensor]] = []
        self.tokens: Tensor
        self._open: Tensor
        self._hidden: Tensor | None = None
        self._again: Callable[[], None] | None = None

    def advance(self, tokens: Tensor) -> Tensor:
        if not self.stores:
            self._stand_still()
        self.tokens[: len(tokens)] = tokens
        if self._again is not None:
            self._again()
        else:
            self._step()  # also warms up what must not happen for the first time in a recording
            self._again = recorded(self._step, self.model.device)
        assert self._hidden is not None
        return self._hidden[: len(tokens)]

    def keep(self, indices: Tensor) -> None:
        if not self.stores:
            super().keep(indices)
            return
        count = len(indices)
        for state in (self.positions, self._open, *(store for pair in self.stores for store in pair)):
            move_to_front(state, indices)
        if 2 * count <= len(self.tokens):
            self.tokens, self.positions, self._open = self.tokens[:count], self.positions[:count], self._open[:count]
            self.stores = [(keys[:count], values[:count]) for keys, values in self.stores]
            self._hidden = self._again = None

    def _stand_still(self) -> None:
        """Give everything the place and the size that it keeps."""
        self.stores = [(keys.whole(), values.whole()) for keys, values in zip(self.keys, self.values, strict=True)]
        some = self.stores[0][0]
        self.tokens = torch.zeros_like(self.positions)
        self.column = torch.tensor([self.filled], device=some.device)
        self._open = some.new_full((len(self.tokens), 1, 1, self.capacity), -torch.inf)
        self._open[..., : self.filled] = 0.0 if self.mask is None else self.mask[..., : self.filled]

    def _step(self) -> None:
        self._open.index_fill_(3, self.column, 0.0)

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
            keys, values = self.stores[layer]
            keys.index_copy_(2, self.column, key[:, :, None])
            values.index_copy_(2, self.column, value[:, :, None])
            grouped = query.view(len(query), keys.shape[1], -1, query.shape[-1])
            return scaled_dot_product_attention(grouped, keys, values, attn_mask=self._open, scale=scale).flatten(1)

        hidden = self.forward(self.tokens, self.positions.clamp(max=self.context - 1), attend)
        if self._hidden is None:
            self._hidden = torch.empty_like(hidden)
        self._hidden.copy_(hidden)
        self.positions += 1
        self.column += 1


def recorded(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """What does the same as ``step`` to the same memory; recording it computes nothing. Off CUDA ``step`` itself."""
    if device.type != "cuda":
        return step
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    replay: Callable[[], None] = graph.replay
    return replay
