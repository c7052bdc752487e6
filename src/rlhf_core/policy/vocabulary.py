"""The output layer, at completion positions only and in tiles: logits of all positions never lie in memory at once.

Where nobody trains it, it is read block by block of the vocabulary with a running normaliser (Milakov and Gimelshein
2018, "Online normalizer calculation for softmax", algorithm 3), as attention is in FlashAttention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from rlhf_core.math.kl import exact_kl
from rlhf_core.math.logprobs import entropy, token_logprobs

TileFunction: TypeAlias = Callable[[Tensor, slice], tuple[Tensor, ...]]
"""Hidden states of a tile ``[rows, hidden]`` and its rows, to numbers per row, each ``[rows]``."""

TILE: Final[Mapping[str, tuple[int, int]]] = {"cpu": (1024, 1024), "cuda": (4096, 8192)}
"""Positions and words of one tile, by device. On a CPU a block of weights stays in the cache while all positions meet
it: 128 positions by the whole of GPT-2's vocabulary take 1.3 times as long."""

WHOLE_ROWS: Final = 128
"""Positions in a tile of the whole vocabulary. Fewer make the matrix products thin, more leave the cache."""


def logits(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """float32 ``[N, vocabulary]`` of hidden states ``[N, hidden]``, scaled and capped as the model's type does it."""
    values: Tensor = model.get_output_embeddings()(hidden).float()
    factor, cap = _scale(model), _cap(model)
    if factor != 1.0:
        values = values * factor
    return values if cap is None else cap * torch.tanh(values / cap)


def token_statistics(
    model: PreTrainedModel, hidden: Tensor, targets: Tensor, *, temperature: float, with_entropy: bool
) -> tuple[Tensor, ...]:
    """Logprobs of ``targets`` ``[M]`` given hidden states ``[M, hidden]``, and entropies if asked for; ``[M]`` each."""
    layer = model.get_output_embeddings()
    trained = torch.is_grad_enabled() and any(weight.requires_grad for weight in layer.parameters())
    if type(layer) is nn.Linear and not trained:
        found: tuple[Tensor, ...] = _Statistics.apply(  # type: ignore[no-untyped-call]
            hidden, targets, _Blocks(model, temperature), with_entropy
        )
        return found

    def statistics(tile: Tensor, rows: slice) -> tuple[Tensor, ...]:
        tempered = logits(model, tile) / temperature
        logprobs = token_logprobs(tempered, targets[rows])
        return (logprobs, entropy(tempered)) if with_entropy else (logprobs,)

    # The gradient of the layer's own weights needs the logits again in the backward pass.
    return _by_tiles(partial(checkpoint, statistics, use_reentrant=False) if trained else statistics, hidden)


@torch.no_grad()
def kl_divergences(
    model: PreTrainedModel, hidden: Tensor, other: PreTrainedModel, other_hidden: Tensor, *, temperature: float
) -> Tensor:
    """KL(model ‖ other) at each position, ``[M]``, nats."""

    def divergence(tile: Tensor, rows: slice) -> tuple[Tensor, ...]:
        return (exact_kl(logits(model, tile) / temperature, logits(other, other_hidden[rows]) / temperature),)

    return _by_tiles(divergence, hidden)[0]


def _scale(model: PreTrainedModel) -> float:
    """What the model's type multiplies its logits by: Cohere, Granite."""
    config = model.config
    return float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)


def _cap(model: PreTrainedModel) -> float | None:
    """Where the model's type bends its logits (Gemma 2)."""
    return getattr(model.config, "final_logit_softcapping", None)


def _by_tiles(function: TileFunction, hidden: Tensor) -> tuple[Tensor, ...]:
    parts = [function(hidden[rows], rows) for rows in _tiles(len(hidden), WHOLE_ROWS)]
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def _tiles(count: int, size: int) -> list[slice]:
    """At least one, maybe empty."""
    return [slice(start, min(start + size, count)) for start in range(0, max(count, 1), size)]


class _Blocks:
    """An output layer that is not trained, some words of the vocabulary at a time, at a temperature."""

    def __init__(self, model: PreTrainedModel, temperature: float) -> None:
        layer = model.get_output_embeddings()
        self.weight: Tensor = layer.weight.detach()
        self.bias: Tensor | None = layer.bias
        self.factor, self.cap, self.temperature = _scale(model), _cap(model), temperature
        self.slope = self.factor / temperature
        self.bend = 0.0 if self.cap is None else (temperature / self.cap) ** 2
        device = self.weight.device.type
        self.rows, self.width = TILE.get(device, TILE["cuda"])
        # A backward pass knows nothing of the precision that the forward pass ran in.
        self.precision: Callable[[], AbstractContextManager[Any]] = partial(
            torch.autocast, device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)
        )

    def tiles(self, count: int) -> list[slice]:
        return _tiles(count, self.rows)

    def __iter__(self) -> Iterator[slice]:
        return iter(_tiles(len(self.weight), self.width))

    def logits(self, hidden: Tensor, words: slice) -> Tensor:
        """float32 ``[rows, words]``, divided by the temperature."""
        bias = None if self.bias is None else self.bias[words]
        values = functional.linear(hidden, self.weight[words], bias).float()
        if self.cap is None:
            return values if self.slope == 1.0 else values.mul_(self.slope)
        return torch.tanh(values * (self.factor / self.cap)).mul_(self.cap / self.temperature)

    def slopes(self, values: Tensor) -> Tensor | float:
        """By how much :meth:`logits`, which are ``values``, follow what the layer's matrix gives."""
        return self.slope if self.cap is None else self.slope - values.square() * (self.slope * self.bend)

    def to_hidden(self, by_logits: Tensor, values: Tensor, words: slice) -> Tensor:
        """A gradient by :meth:`logits`, which are ``values``, to one by hidden states, ``[rows, hidden]``. Used up."""
        by_raw = by_logits.mul_(self.slopes(values)).to(self.weight.dtype)
        return torch.mm(by_raw, self.weight[words]).float()

    def target_to_hidden(self, values: Tensor, targets: Tensor) -> Tensor:
        """The gradient of the logits of ``targets`` (``[rows]``; they are ``values``) by hidden states."""
        slopes = self.slopes(values)
        return self.weight[targets].float() * (slopes[:, None] if isinstance(slopes, Tensor) else slopes)


class _Statistics(torch.autograd.Function):
    """Logprobs of targets ``[M]`` under hidden states ``[M, hidden]``, and entropies if asked for.

    The gradient of a logprob by the logits is known with the logits (one at the target, minus the probabilities), so
    it is carried back to the hidden state while the tile is there: ``[M, hidden]`` is kept, not ``[M, vocabulary]``,
    and the logits are worked out once. That of an entropy, which few losses ask for, costs them a second time.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, targets: Tensor, blocks: _Blocks, with_entropy: bool) -> tuple[Tensor, ...]:
        count = len(hidden)
        normalisers, at_targets, entropies = (hidden.new_empty(count, dtype=torch.float32) for _ in range(3))
        gradient = hidden.new_empty(hidden.shape, dtype=torch.float32) if ctx.needs_input_grad[0] else None
        for rows in blocks.tiles(count):
            running = _Running(hidden[rows], targets[rows], blocks)
            for words in blocks:
                running.take(words, with_entropy=with_entropy, with_gradient=gradient is not None)
            normalisers[rows], at_targets[rows], entropies[rows] = running.read()
            if gradient is not None:
                gradient[rows] = running.gradient()
        ctx.save_for_backward(hidden, gradient, normalisers, entropies)
        ctx.blocks = blocks
        ctx.set_materialize_grads(False)
        logprobs = at_targets - normalisers
        return (logprobs, entropies) if with_entropy else (logprobs,)

    @staticmethod
    def backward(ctx: Any, by_logprobs: Tensor | None, by_entropies: Tensor | None = None) -> tuple[Any, ...]:
        hidden, gradient, normalisers, entropies = ctx.saved_tensors
        total = torch.zeros_like(gradient) if by_logprobs is None else gradient * by_logprobs[:, None]
        if by_entropies is not None and by_entropies.any():  # a loss may weigh them with 0
            blocks: _Blocks = ctx.blocks
            with blocks.precision():
                for rows in blocks.tiles(len(hidden)):
                    for words in blocks:
                        values = blocks.logits(hidden[rows], words)
                        logprobs = values - normalisers[rows, None]
                        by_logits = (logprobs + entropies[rows, None]) * logprobs.exp_() * -by_entropies[rows, None]
                        total[rows] += blocks.to_hidden(by_logits, values, words)
        return total.to(hidden.dtype), None, None, None


class _Running:
    """Sums over the vocabulary so far, of the positions of one tile; exponentials are relative to the largest logit."""

    def __init__(self, hidden: Tensor, targets: Tensor, blocks: _Blocks) -> None:
        self.hidden, self.targets, self.blocks = hidden, targets, blocks
        self.largest = hidden.new_full((len(hidden), 1), -torch.inf, dtype=torch.float32)
        self.at_target, self.total, self.weighted = (torch.zeros_like(self.largest) for _ in range(3))
        self.by_hidden = torch.zeros_like(hidden, dtype=torch.float32)

    def take(self, words: slice, *, with_entropy: bool, with_gradient: bool) -> None:
        values = self.blocks.logits(self.hidden, words)
        place = (self.targets - words.start).clamp(0, values.shape[1] - 1)[:, None]
        here = place + words.start == self.targets[:, None]
        self.at_target = torch.where(here, values.gather(1, place), self.at_target)
        largest = torch.maximum(self.largest, values.amax(1, keepdim=True))
        shrink = (self.largest - largest).exp_()
        self.largest = largest
        exponentials = (values - largest).exp_()
        self.total = self.total * shrink + exponentials.sum(1, keepdim=True)
        if with_entropy:
            self.weighted = self.weighted * shrink + torch.linalg.vecdot(exponentials, values)[:, None]
        if with_gradient:
            self.by_hidden = self.by_hidden.mul_(shrink).add_(self.blocks.to_hidden(exponentials, values, words))

    def read(self) -> tuple[Tensor, Tensor, Tensor]:
        """Normaliser, logit of the target, entropy; ``[rows]`` each."""
        normaliser = self.largest + self.total.log()
        return normaliser[:, 0], self.at_target[:, 0], (normaliser - self.weighted / self.total)[:, 0]

    def gradient(self) -> Tensor:
        """Of the targets' logprobs by the hidden states: that of their logits, minus the mean over the vocabulary."""
        return self.blocks.target_to_hidden(self.at_target[:, 0], self.targets) - self.by_hidden / self.total
