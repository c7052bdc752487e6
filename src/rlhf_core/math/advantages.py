"""Generalized advantage estimation, and the scaling of advantages."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .masking import require_same_shape, zero_masked

EPSILON = 1e-8


def estimate_advantages(
    rewards: Float[Tensor, "batch completion"],
    values: Float[Tensor, "batch completion"],
    mask: Bool[Tensor, "batch completion"],
    *,
    gamma: float,
    gae_lambda: float,
) -> tuple[Float[Tensor, "batch completion"], Float[Tensor, "batch completion"]]:
    """Generalized advantage estimation (Schulman et al. 2016, eq. 16); the value after the last token is zero.

    Args:    rewards: per token, KL term included (reward units). gamma: discount per token, in [0, 1].
    Returns: (advantages, returns), zero where masked; advantages not normalised; returns = advantages + values.
    Raises:  ShapeError naming both arguments and both shapes.
    """
    require_same_shape("rewards", rewards, "values", values)
    rewards, values = zero_masked(rewards, mask), zero_masked(values, mask)
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    next_values = torch.zeros_like(running)
    for t in reversed(range(rewards.shape[1])):
        # Right-padding comes last, so running and next_values are still zero when the last real token is reached.
        delta = rewards[:, t] + gamma * next_values - values[:, t]
        running = torch.where(mask[:, t], delta + gamma * gae_lambda * running, 0.0)
        next_values = torch.where(mask[:, t], values[:, t], 0.0)
        advantages[:, t] = running
    return advantages, zero_masked(advantages + values, mask)


def moments(values: Float[Tensor, "..."]) -> Float[Tensor, "3"]:
    """(count, sum, sum of squares) in float64: additive, so they can be summed over ranks."""
    values = values.double()
    return torch.stack([values.new_tensor(float(values.numel())), values.sum(), values.square().sum()])


def mean_and_std(summed: Float[Tensor, "3"]) -> tuple[float, float]:
    """Mean and population standard deviation from summed :func:`moments`."""
    count, total, squares = summed.tolist()
    mean = total / count
    return mean, max(squares / count - mean * mean, 0.0) ** 0.5


def center_and_scale(values: Tensor, mean: float, std: float) -> Tensor:
    """(values − mean) / std: advantages of a batch, by the moments of its *real* tokens."""
    return (values - mean) / (std + EPSILON)


def scale(values: Tensor, std: float) -> Tensor:
    """values / std, the mean kept: scores, whose zero means something (Engstrom et al. 2020)."""
    return values / (std + EPSILON)
