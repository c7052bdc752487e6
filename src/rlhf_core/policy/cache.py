"""Keys and values of the tokens so far, in room that is taken once.

transformers' own cache copies all that it holds at every token, which on a CPU costs more than the token.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer


def make_cache(model: PreTrainedModel, capacity: int) -> DynamicCache:
    """An empty cache for ``capacity`` tokens. Layers that do not keep every token stay as transformers made them."""
    cache = DynamicCache(config=model.config)
    cache.layers = [RoomyLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def as_keyword(model: PreTrainedModel, cache: DynamicCache) -> dict[str, DynamicCache]:
    """The cache by the name that this model has for it: transformers renamed ``past_key_values`` to ``cache``.

    The signature decides and not the version, since models of other packages may lag behind.
    """
    taken = inspect.signature(model.base_model.forward).parameters
    return {"cache" if "cache" in taken else "past_key_values": cache}


class Room:
    """``[batch, heads, capacity, head size]``; the first ``filled`` tokens are there, the rest is never read."""

    def __init__(self, start: Tensor, capacity: int) -> None:
        batch, heads, self._filled, size = start.shape
        self._buffer = start.new_empty(batch, heads, capacity, size)
        self.content[:] = start

    @property
    def content(self) -> Tensor:
        return self._buffer[:, :, : self._filled]

    def append(self, new: Tensor) -> Tensor:
        """``[batch, heads, new, head size]``; returns all there is."""
        start, self._filled = self._filled, self._filled + new.shape[2]
        self._buffer[:, :, start : self._filled] = new
        return self.content

    def repeat(self, repeats: int) -> None:
        self._buffer = self._buffer.repeat_interleave(repeats, dim=0)

    def keep(self, indices: Tensor) -> None:
        """These rows move to the front."""
        move_to_front(self.content, indices)
        self._buffer = self._buffer[: len(indices)]

    def whole(self) -> Tensor:
        """All of it, with zeros where nothing is yet: a masked NaN is NaN."""
        self._buffer[:, :, self._filled :] = 0.0
        return self._buffer


def move_to_front(rows: Tensor, indices: Tensor) -> None:
    """``rows[i] = rows[indices[i]]``. Only those that are not in their place already are copied."""
    moved = (indices != torch.arange(len(indices), device=indices.device)).nonzero()[:, 0]
    if len(moved):
        rows[moved] = rows[indices[moved]]


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """``keys`` and ``values`` are views of what is filled, as the attention and the mask expect them."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity
        self._rooms: tuple[Room, ...] = ()

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append ``[batch, heads, new, head size]`` and return all there is."""
        if not self._rooms:
            self.lazy_initialization(key_states, value_states)
            self._rooms = (Room(key_states, self._capacity), Room(value_states, self._capacity))
        else:
            for room, states in zip(self._rooms, (key_states, value_states), strict=True):
                room.append(states)
        return self._show()

    def batch_repeat_interleave(self, repeats: int) -> None:
        for room in self._rooms:
            room.repeat(repeats)
        self._show()

    def batch_select_indices(self, indices: Tensor) -> None:
        for room in self._rooms:
            room.keep(indices)
        self._show()

    def _show(self) -> tuple[Tensor, Tensor]:
        self.keys, self.values = (room.content for room in self._rooms)
        return self.keys, self.values
