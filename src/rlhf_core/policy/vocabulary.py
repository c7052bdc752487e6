"""The output layer, at completion positions only and in tiles: logits of all positions never lie in memory at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from rlhf_core.math.kl import exact_kl
from rlhf_core.math.logprobs import entropy, token_logprobs

TILE_LOGITS = 2**23
"""Logits in one tile (32 MB in float32): 166 rows of GPT-2's vocabulary."""

TileFunction: TypeAlias = Callable[[Tensor, slice], tuple[Tensor, ...]]
"""Hidden states of a tile ``[rows, hidden]`` and its rows, to numbers per row, each ``[rows]``."""


def logits(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """float32 ``[N, vocabulary]`` of hidden states ``[N, hidden]``, scaled and capped as the model's type does it."""
    values: Tensor = model.get_output_embeddings()(hidden).float()
    config = model.config
    if scale := getattr(config, "logit_scale", None):  # Cohere
        values = values * scale
    if scale := getattr(config, "logits_scaling", None):  # Granite
        values = values / scale
    if cap := getattr(config, "final_logit_softcapping", None):  # Gemma 2
        values = cap * torch.tanh(values / cap)
    return values


def token_statistics(
    model: PreTrainedModel, hidden: Tensor, targets: Tensor, *, temperature: float, with_entropy: bool
) -> tuple[Tensor, ...]:
    """Logprobs of ``targets`` ``[M]`` given hidden states ``[M, hidden]``, and entropies if asked for; ``[M]`` each."""

    def statistics(tile: Tensor, rows: slice) -> tuple[Tensor, ...]:
        tempered = logits(model, tile) / temperature
        logprobs = token_logprobs(tempered, targets[rows])
        return (logprobs, entropy(tempered)) if with_entropy else (logprobs,)

    return _by_tiles(statistics, model, hidden)


@torch.no_grad()
def kl_divergences(
    model: PreTrainedModel, hidden: Tensor, other: PreTrainedModel, other_hidden: Tensor, *, temperature: float
) -> Tensor:
    """KL(model ‖ other) at each position, ``[M]``, nats."""

    def divergence(tile: Tensor, rows: slice) -> tuple[Tensor, ...]:
        return (exact_kl(logits(model, tile) / temperature, logits(other, other_hidden[rows]) / temperature),)

    return _by_tiles(divergence, model, hidden)[0]


def _by_tiles(function: TileFunction, model: PreTrainedModel, hidden: Tensor) -> tuple[Tensor, ...]:
    head_trains = any(parameter.requires_grad for parameter in model.get_output_embeddings().parameters())
    if not torch.is_grad_enabled() or not (hidden.requires_grad or head_trains):
        return _concatenate(function(hidden[rows], rows) for rows in _tiles(model, len(hidden)))
    if head_trains:
        # The output layer itself is trained: its gradient needs the logits again in the backward pass.
        return _concatenate(
            checkpoint(function, hidden[rows], rows, use_reentrant=False) for rows in _tiles(model, len(hidden))
        )
    outputs: tuple[Tensor, ...] = _GradientInForward.apply(hidden, function, _tiles(model, len(hidden)))  # type: ignore[no-untyped-call]
    return outputs


def _tiles(model: PreTrainedModel, count: int) -> list[slice]:
    rows = max(1, TILE_LOGITS // model.config.vocab_size)
    return [slice(start, min(start + rows, count)) for start in range(0, count, rows)]


def _concatenate(parts: Iterator[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


class _GradientInForward(torch.autograd.Function):
    """Applies a tile function and takes its gradient at once, while the tile's logits are there.

    Each number depends on its own row of ``hidden`` alone, so one row of gradient per number is all that the backward
    pass needs: ``[M, hidden]`` kept in place of ``[M, vocabulary]``, and no second pass through the output layer.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, function: TileFunction, tiles: list[slice]) -> tuple[Tensor, ...]:
        values, gradients = [], []
        for rows in tiles:
            tile = hidden[rows].detach().requires_grad_()
            with torch.enable_grad():
                outputs = function(tile, rows)
                sums = [output.sum() for output in outputs]
            keep = [True] * (len(sums) - 1) + [False]
            gradients.append(
                tuple(torch.autograd.grad(s, tile, retain_graph=k)[0] for s, k in zip(sums, keep, strict=True))
            )
            values.append(tuple(output.detach() for output in outputs))
        ctx.save_for_backward(*_concatenate(iter(gradients)))
        return _concatenate(iter(values))

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        parts = [factor[:, None] * rows for factor, rows in zip(upstream, ctx.saved_tensors, strict=True)]
        return torch.stack(parts).sum(0).to(ctx.saved_tensors[0].dtype), None, None
