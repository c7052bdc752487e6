"""What computes hidden states while decoding: prompts once, then one token per sample, from a cache of all before it.

:class:`FlatRunner` has the forward pass of a known architecture (:mod:`.flat`) and a cache of its own;
:class:`TransformersRunner` asks the model's own forward pass, whatever the model is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel

from rlhf_core.contract.rows import Tokens

from .cache import Room, as_keyword, make_cache
from .flat import FORWARDS


class Runner(Protocol):
    """S samples on their way, of one batch: ``start``, then ``repeat``, then ``advance`` and ``keep`` as needed."""

    model: PreTrainedModel

    def start(self, prompts: Sequence[Tokens], room: int) -> Tensor:
        """Run the prompts, with ``room`` for further tokens of each; last hidden state of each, ``[S, hidden]``."""

    def repeat(self, count: int) -> None:
        """``count`` samples in place of each: they share what was computed for its prompt."""

    def advance(self, tokens: Tensor) -> Tensor:
        """Append one token per sample, ``[S]``; its last hidden states, ``[S, hidden]``."""

    def keep(self, indices: Tensor) -> None:
        """These samples move to the front, in this order; the others are gone."""


class FlatRunner:
    """Prompts lie right-aligned in the cache: the newest token of every sample is in one column, written at once.

    Attributes:
        mask: ``[S, 1, 1, capacity]``, ``-inf`` before a prompt's first token; None where all prompts have one length.
        positions: ``[S]``, of the next tokens.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.forward = FORWARDS[model.config.model_type](model)
        self.context = model.config.max_position_embeddings
        self.keys: list[Room] = []
        self.values: list[Room] = []

    def start(self, prompts: Sequence[Tokens], room: int) -> Tensor:
        """Of real tokens alone: padding appears where they attend to each other and nowhere else."""
        device, lengths = self.model.device, torch.tensor([len(prompt) for prompt in prompts])
        longest = int(lengths.max())
        self.filled, self.capacity = longest, longest + room
        rows = torch.repeat_interleave(torch.arange(len(prompts)), lengths)
        positions = torch.cat([torch.arange(len(prompt)) for prompt in prompts])
        places = (rows * longest + (longest - lengths)[rows] + positions).to(device)
        padding = (torch.arange(longest) < (longest - lengths)[:, None]).to(device)
        causal = torch.ones(longest, longest, dtype=torch.bool, device=device).tril()
        # A padded query attends to everything rather than to nothing, which would be NaN; it is not read.
        seen = (causal & ~padding[:, None, :] | padding[:, :, None])[:, None] if bool(padding.any()) else None

        def attend(_: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
            query, key, value = (_to_grid(states, places, len(prompts), longest) for states in (query, key, value))
            self.keys.append(Room(key, self.capacity))
            self.values.append(Room(value, self.capacity))
            output = scaled_dot_product_attention(
                query, key, value, attn_mask=seen, is_causal=seen is None, scale=scale,
                enable_gqa=query.shape[1] != key.shape[1],
            )  # fmt: skip
            return output.transpose(1, 2).flatten(0, 1)[places].flatten(1)

        tokens = torch.tensor([token for prompt in prompts for token in prompt], device=device)
        hidden = self.forward(tokens, positions.to(device), attend)
        self.positions = lengths.to(device)
        self.mask = None
        if seen is not None:
            self.mask = hidden.new_zeros(len(prompts), 1, 1, self.capacity)
            self.mask[:, 0, 0, :longest].masked_fill_(padding, -torch.inf)
        return hidden[(lengths.cumsum(0) - 1).to(device)]

    def repeat(self, count: int) -> None:
        for room in (*self.keys, *self.values):
            room.repeat(count)
        self.positions = self.positions.repeat_interleave(count)
        self.mask = None if self.mask is None else self.mask.repeat_interleave(count, 0)

    def advance(self, tokens: Tensor) -> Tensor:
        self.filled += 1
        mask = None if self.mask is None else self.mask[..., : self.filled]

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
            keys, values = self.keys[layer].append(key[:, :, None]), self.values[layer].append(value[:, :, None])
            # Heads that share keys stand where a sequence of queries would: the keys are not repeated for them.
            grouped = query.view(len(tokens), keys.shape[1], -1, query.shape[-1])
            return scaled_dot_product_attention(grouped, keys, values, attn_mask=mask, scale=scale).flatten(1)

        # A sample that ended but is not dropped yet runs on, unread; at the context's end it stays where it is.
        hidden = self.forward(tokens, self.positions.clamp(max=self.context - 1), attend)
        self.positions += 1
        return hidden

    def keep(self, indices: Tensor) -> None:
        for room in (*self.keys, *self.values):
            room.keep(indices)
        self.positions = self.positions[indices]
        self.mask = None if self.mask is None else self.mask[indices]


class TransformersRunner:
    """Prompts are left-padded; ``mask`` is 1 at real tokens, ``[S, seen]``."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.context = getattr(model.config, "max_position_embeddings", None)

    def start(self, prompts: Sequence[Tokens], room: int) -> Tensor:
        device, longest = self.model.device, max(map(len, prompts))
        filled = [(0,) * (longest - len(prompt)) + prompt for prompt in prompts]
        self.positions = torch.tensor([len(prompt) for prompt in prompts], device=device)
        self.mask = (torch.arange(longest, device=device) >= longest - self.positions[:, None]).long()
        self.cache = make_cache(self.model, longest + room)
        return self._run(torch.tensor(filled, device=device), (self.mask.cumsum(-1) - 1).clamp(min=0))

    def repeat(self, count: int) -> None:
        self.cache.batch_repeat_interleave(count)
        self.positions = self.positions.repeat_interleave(count)
        self.mask = self.mask.repeat_interleave(count, 0)

    def advance(self, tokens: Tensor) -> Tensor:
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        positions = self.positions if self.context is None else self.positions.clamp(max=self.context - 1)
        self.positions = self.positions + 1
        return self._run(tokens[:, None], positions[:, None])

    def keep(self, indices: Tensor) -> None:
        self.cache.batch_select_indices(indices)
        self.positions, self.mask = self.positions[indices], self.mask[indices]

    def _run(self, tokens: Tensor, positions: Tensor) -> Tensor:
        output = self.model.base_model(
            input_ids=tokens, attention_mask=self.mask, position_ids=positions, use_cache=True,
            **as_keyword(self.model, self.cache),
        )  # fmt: skip
        return output.last_hidden_state[:, -1]  # type: ignore[no-any-return]


def _to_grid(states: Tensor, places: Tensor, rows: int, columns: int) -> Tensor:
    """``[N, heads, D]`` of real tokens, to ``[rows, heads, columns, D]``, zero at padding (a masked NaN is NaN)."""
    grid = states.new_zeros(rows * columns, *states.shape[1:])
    grid[places] = states
    return grid.view(rows, columns, *states.shape[1:]).transpose(1, 2)
