"""Drawing tokens: seeds, truncation, and the inverse of the cumulative distribution; and positions to measure at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.rows import Row
from rlhf_core.math.logprobs import token_logprobs


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
    kept = truncate(logits / spec.temperature, spec)
    # float64: in float32 a cumulative sum over 50,000 tokens is off by more than a rare token's probability.
    cumulative = kept.softmax(-1).cumsum(-1, dtype=torch.float64)
    target = uniform.to(cumulative) * cumulative[:, -1]
    tokens = torch.searchsorted(cumulative, target[:, None], right=True)[:, 0].clamp(max=logits.shape[-1] - 1)
    return tokens, token_logprobs(kept, tokens)


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
