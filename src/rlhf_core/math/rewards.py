"""From one score per completion to one reward per token."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .kl import ESTIMATORS, KLEstimator
from .masking import last_position, require_same_shape, zero_masked


def per_token_rewards(
    scores: Float[Tensor, " batch"],
    logprobs: Float[Tensor, "batch completion"],
    ref_logprobs: Float[Tensor, "batch completion"],
    mask: Bool[Tensor, "batch completion"],
    *,
    kl_coef: float,
    estimator: KLEstimator = "k1",
) -> Float[Tensor, "batch completion"]:
    """The score on the last real token, minus ``kl_coef`` times the KL estimate on every token.

    Source: Ziegler et al. 2019 (eq. 2); Stiennon et al. 2020. ``logprobs`` are those of sampling time: they are
    data, so no gradient passes and inner epochs do not move them.

    Args:    scores in reward units; logprobs in nats.
    Returns: reward units, zero where masked.
    Raises:  ShapeError naming both arguments and both shapes.
    """
    require_same_shape("logprobs", logprobs, "ref_logprobs", ref_logprobs)
    rewards = -kl_coef * zero_masked(ESTIMATORS[estimator](logprobs, ref_logprobs), mask).detach()
    row = torch.arange(len(scores), device=scores.device)
    rewards[row, last_position(mask)] += scores.to(rewards.dtype)
    return rewards
