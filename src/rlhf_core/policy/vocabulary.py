"""The output layer, at completion positions only and in tiles: logits of all positions never lie in memory at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from rlhf_core.math.kl import exact_kl
from rlhf_core.math.logprobs import entropy, token_logprobs

TileFunction: TypeAlias = Callable[[Tensor, slice], tuple[Tensor, ...]]
"""Hidden states of a tile ``[rows, hidden]`` and its rows, to numbers per row, each ``[rows]``."""
Project: TypeAlias = Callable[[Tensor], Tensor]
"""Hidden states ``[N, hidden]`` to logits, float32 ``[N, vocabulary]``."""

TILE_ROWS = 128
"""Positions in one tile. Fewer make the matrix products thin, more leave the processor's cache (64 to 1024 tried)."""


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

    if torch.is_grad_enabled() and any(weight.requires_grad for weight in model.get_output_embeddings().parameters()):
        # The output layer itself is trained: its gradient needs the logits again in the backward pass.
        return _by_tiles(partial(checkpoint, statistics, use_reentrant=False), hidden)
    if not (torch.is_grad_enabled() and hidden.requires_grad):
        return _by_tiles(statistics, hidden)
    project = _in_this_precision(partial(logits, model), hidden.device.type)
    found: tuple[Tensor, ...] = _Statistics.apply(hidden, targets, project, temperature, with_entropy)  # type: ignore[no-untyped-call]
    return found


@torch.no_grad()
def kl_divergences(
    model: PreTrainedModel, hidden: Tensor, other: PreTrainedModel, other_hidden: Tensor, *, temperature: float
) -> Tensor:
    """KL(model ‖ other) at each position, ``[M]``, nats."""

    def divergence(tile: Tensor, rows: slice) -> tuple[Tensor, ...]:
        return (exact_kl(logits(model, tile) / temperature, logits(other, other_hidden[rows]) / temperature),)

    return _by_tiles(divergence, hidden)[0]


def _by_tiles(function: TileFunction, hidden: Tensor) -> tuple[Tensor, ...]:
    parts = [function(hidden[rows], rows) for rows in _tiles(hidden)]
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def _tiles(hidden: Tensor) -> list[slice]:
    """At least one, maybe empty."""
    return [slice(start, start + TILE_ROWS) for start in range(0, max(len(hidden), 1), TILE_ROWS)]


class _Statistics(torch.autograd.Function):
    """Logprobs, and entropies if asked for, under an output layer that is not trained.

    The gradient of a logprob by the logits is known with the logits (one at the target, minus the probabilities), so
    it is carried back to the hidden state while the tile is there: ``[M, hidden]`` is kept, not ``[M, vocabulary]``,
    and the logits are worked out once. That of an entropy, which few losses ask for, costs them a second time.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, targets: Tensor, project: Project, temperature: float, with_entropy: bool
    ) -> tuple[Tensor, ...]:
        count = len(hidden)
        logprobs, entropies = (hidden.new_empty(count, dtype=torch.float32) for _ in range(2))
        gradient = torch.empty_like(hidden)
        for rows in _tiles(hidden):
            tile, values = _project(project, hidden[rows])
            tempered = values.detach() / temperature
            normaliser = tempered.logsumexp(-1)
            at_targets = targets[rows, None]
            logprobs[rows] = tempered.gather(-1, at_targets)[:, 0] - normaliser
            probabilities = (tempered - normaliser[:, None]).exp_()
            if with_entropy:
                entropies[rows] = normaliser - tempered.mul_(probabilities).sum(-1)
            by_logits = probabilities.neg_().scatter_add_(-1, at_targets, torch.ones_like(logprobs[rows, None]))
            (gradient[rows],) = torch.autograd.grad(values, tile, by_logits)
        ctx.save_for_backward(hidden, gradient)
        ctx.project, ctx.temperature = project, temperature
        ctx.set_materialize_grads(False)
        return (logprobs, entropies) if with_entropy else (logprobs,)

    @staticmethod
    def backward(ctx: Any, by_logprobs: Tensor | None, by_entropies: Tensor | None = None) -> tuple[Any, ...]:
        hidden, gradient = ctx.saved_tensors
        scale = 1.0 / ctx.temperature
        total = torch.zeros_like(gradient) if by_logprobs is None else gradient * (scale * by_logprobs)[:, None]
        if by_entropies is not None:
            for rows in _tiles(hidden):
                tile, values = _project(ctx.project, hidden[rows])
                logprobs = (values.detach() / ctx.temperature).log_softmax(-1)
                entropies = -(logprobs.exp() * logprobs).sum(-1, keepdim=True)
                by_logits = -logprobs.exp() * (logprobs + entropies) * (scale * by_entropies[rows])[:, None]
                total[rows] += torch.autograd.grad(values, tile, by_logits)[0]
        return total.to(hidden.dtype), None, None, None, None


def _in_this_precision(project: Project, device: str) -> Project:
    """``project`` as it is called here, also in a backward pass, which knows of no autocast."""
    dtype, enabled = torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)

    def precise(hidden: Tensor) -> Tensor:
        with torch.autocast(device, dtype=dtype, enabled=enabled):
            return project(hidden)

    return precise


def _project(project: Project, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """A tile and its logits, joined by a graph of their own."""
    tile = hidden.detach().requires_grad_()
    with torch.enable_grad():
        return tile, project(tile)
