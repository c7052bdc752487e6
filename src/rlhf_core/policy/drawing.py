"""Drawing tokens: seeds, truncation, and the inverse of the cumulative distribution; and positions to measure at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.rows import Row

BLOCK = 256
"""Tokens of the vocabulary that are summed together while drawing."""


def uniforms(seed: int, record_id: str, sample: int, count: int) -> Tensor:
    """``[count]`` numbers in [0, 1), the same on every machine, in every batch, for this sample of this record."""
    digest = hashlib.blake2b(f"{seed}\0{record_id}\0{sample}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big", signed=True))
    return torch.rand(count, generator=generator)


def draw(logits: Tensor, uniform: Tensor, spec: SamplingSpec) -> tuple[Tensor, Tensor]:
    """One token per row, and its logprob under the distribution that it was drawn from.

    Args:
        logits: float32 ``[K, vocabulary]``. uniform: ``[K]``, in [0, 1).

    Returns:
        tokens and logprobs, ``[K]``. The likeliest token (temperature 0) is certain: its logprob is 0.
    """
    if spec.temperature == 0:
        tokens = logits.argmax(-1)
        return tokens, torch.zeros_like(logits[:, 0])
    kept = truncate(logits if spec.temperature == 1 else logits / spec.temperature, spec)
    highest = kept.amax(-1, keepdim=True)
    tokens, total = _invert(kept - highest, uniform.double())
    return tokens, (kept.gather(-1, tokens[:, None]) - highest)[:, 0] - total.log().to(kept.dtype)


def _invert(exponents: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens ``[K]`` where the cumulative distribution passes ``uniform``, and ``exponents.exp().sum(-1)`` in float64.

    Summed in blocks, then counted out token by token within the one block where the number falls: the same
    distribution as one long sum, without 50,000 additions in float64 (in float32 that long a sum is off by more than a
    rare token's probability).

    Args:
        exponents: float32 ``[K, vocabulary]``, at most 0. uniform: float64 ``[K]``.
    """
    rows, vocabulary = exponents.shape
    blocks = exponents.new_zeros(rows, -(-vocabulary // BLOCK), BLOCK)
    torch.exp(exponents, out=blocks.view(rows, -1)[:, :vocabulary])
    masses = blocks.sum(-1).double()
    ends = masses.cumsum(-1)
    target = uniform[:, None] * ends[:, -1:]
    block = torch.searchsorted(ends, target, right=True).clamp(max=blocks.shape[1] - 1)
    mass = masses.gather(1, block)
    # A share of the block's mass, not a place in the long sum: then both sums may round as they like.
    share = ((target - ends.gather(1, block) + mass) / mass).clamp(0, 1 - 1e-12)
    inside = blocks[torch.arange(rows, device=block.device), block[:, 0]].cumsum(-1, dtype=torch.float64)
    place = torch.searchsorted(inside, share * inside[:, -1:], right=True)
    return (block * BLOCK + place)[:, 0].clamp(max=vocabulary - 1), ends[:, -1]


def truncate(logits: Tensor, spec: SamplingSpec) -> Tensor:
    """``-inf`` for tokens beyond the ``top_k`` likeliest, and beyond the fewest that hold ``top_p`` of what is left."""
    if spec.top_k is not None and spec.top_k < logits.shape[-1]:
        threshold = logits.topk(spec.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < threshold, -torch.inf)
    if spec.top_p is not None and spec.top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True)
        probabilities = ordered.softmax(-1)
        before = probabilities.cumsum(-1) - probabilities
        dropped = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, before >= spec.top_p)
        logits = logits.masked_fill(dropped, -torch.inf)
    return logits


def draw_positions(rows: Sequence[Row], positions: int | None, *, seed: int) -> tuple[Tensor, Tensor]:
    """Among the tokens of all completions, in order: which to measure at, and how many positions each stands for.

    Args: positions: of each completion, drawn without replacement (all of a shorter one); None takes every one.
    """
    drawn, stands_for, start = [], [], 0
    for row in rows:
        for index, tokens in enumerate(row.completions):
            count = len(tokens) if positions is None else min(positions, len(tokens))
            # Named apart from what the tokens were drawn by: positions must not depend on what stands there.
            order = uniforms(seed, f"{row.record_id}\0positions", index, len(tokens)).argsort()
            drawn.append(start + order[:count])
            stands_for.append(torch.full((count,), len(tokens) / max(count, 1)))
            start += len(tokens)
    return torch.cat(drawn), torch.cat(stands_for)
