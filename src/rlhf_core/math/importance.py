"""Weights for samples that come from a slightly other distribution than the loss is about."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from .masking import require_same_shape


def truncated_importance(
    logprobs: Float[Tensor, "*tokens"], sampled_logprobs: Float[Tensor, "*tokens"], *, cap: float
) -> Float[Tensor, "*tokens"]:
    """min(p / q, cap): truncated importance sampling (Ionides 2008), biased where it cuts, of bounded variance.

    Args:    logprobs under p, the distribution that the loss is about; sampled_logprobs under q, which the tokens were
             drawn from (nats). cap: the largest weight, at least 1.
    Returns: one weight per token, 1 where the two agree. No gradient passes.
    """
    require_same_shape("logprobs", logprobs, "sampled_logprobs", sampled_logprobs)
    return (logprobs - sampled_logprobs).detach().exp().clamp(max=cap)
