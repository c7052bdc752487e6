"""Losses, one function each, per item and undivided: the caller divides by the counts of the whole minibatch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .masking import require_same_shape


def dpo_loss(
    chosen: Float[Tensor, " pairs"],
    rejected: Float[Tensor, " pairs"],
    ref_chosen: Float[Tensor, " pairs"],
    ref_rejected: Float[Tensor, " pairs"],
    *,
    beta: float,
    label_smoothing: float = 0.0,
) -> Float[Tensor, " pairs"]:
    """Direct Preference Optimization (Rafailov et al. 2023, eq. 7), with conservative smoothing (Mitchell 2023, eq. 3).

    Args:    sequence logprobs (nats); beta: inverse temperature of the implicit reward;
             label_smoothing: assumed probability, in [0, 0.5), that a label is flipped.
    Returns: one loss per pair; ln 2 where policy and reference agree.
    """
    margin = beta * log_ratio_margin(chosen, rejected, ref_chosen, ref_rejected)
    return -F.logsigmoid(margin) * (1.0 - label_smoothing) - F.logsigmoid(-margin) * label_smoothing


def robust_dpo_loss(
    chosen: Float[Tensor, " pairs"],
    rejected: Float[Tensor, " pairs"],
    ref_chosen: Float[Tensor, " pairs"],
    ref_rejected: Float[Tensor, " pairs"],
    *,
    beta: float,
    label_smoothing: float,
) -> Float[Tensor, " pairs"]:
    """Robust DPO (Chowdhury et al. 2024, rDPO): its mean over flipped labels is the DPO loss of the true ones.

    Args:    as for :func:`dpo_loss`; label_smoothing: probability, in [0, 0.5), that a label is flipped.
    Returns: one loss per pair; ln 2 where policy and reference agree; not bounded below.
    """
    margin = beta * log_ratio_margin(chosen, rejected, ref_chosen, ref_rejected)
    losses = -F.logsigmoid(margin) * (1.0 - label_smoothing) + F.logsigmoid(-margin) * label_smoothing
    return losses / (1.0 - 2.0 * label_smoothing)


def ipo_loss(
    chosen: Float[Tensor, " pairs"],
    rejected: Float[Tensor, " pairs"],
    ref_chosen: Float[Tensor, " pairs"],
    ref_rejected: Float[Tensor, " pairs"],
    *,
    beta: float,
) -> Float[Tensor, " pairs"]:
    """Identity preference optimization (Azar et al. 2023, eq. 17): (margin − 1 / 2β)², which no pair can run away from.

    Returns: one loss per pair, nats²; 1 / 4β² where policy and reference agree.
    """
    return (log_ratio_margin(chosen, rejected, ref_chosen, ref_rejected) - 1.0 / (2.0 * beta)).square()


def hinge_dpo_loss(
    chosen: Float[Tensor, " pairs"],
    rejected: Float[Tensor, " pairs"],
    ref_chosen: Float[Tensor, " pairs"],
    ref_rejected: Float[Tensor, " pairs"],
    *,
    beta: float,
) -> Float[Tensor, " pairs"]:
    """max(0, 1 − β margin): SLiC's hinge on the margin over the reference (Zhao et al. 2023; Liu et al. 2024).

    Returns: one loss per pair; 1 where policy and reference agree; no gradient past a margin of 1 / β.
    """
    return F.relu(1.0 - beta * log_ratio_margin(chosen, rejected, ref_chosen, ref_rejected))


def log_ratio_margin(
    chosen: Float[Tensor, " pairs"],
    rejected: Float[Tensor, " pairs"],
    ref_chosen: Float[Tensor, " pairs"],
    ref_rejected: Float[Tensor, " pairs"],
) -> Float[Tensor, " pairs"]:
    """log(π/π_ref)(chosen) − log(π/π_ref)(rejected), nats: how far the policy prefers what the reference does not."""
    return (chosen - rejected) - (ref_chosen - ref_rejected)


def bradley_terry_loss(
    chosen: Float[Tensor, " pairs"], rejected: Float[Tensor, " pairs"], margin: Float[Tensor, " pairs"] | float = 0.0
) -> Float[Tensor, " pairs"]:
    """−log σ(r_chosen − r_rejected − margin): Bradley–Terry, the margin as in Touvron et al. 2023 (eq. 2)."""
    return -F.logsigmoid(chosen - rejected - margin)


def centering_loss(chosen: Float[Tensor, " pairs"], rejected: Float[Tensor, " pairs"]) -> Float[Tensor, " pairs"]:
    """(r_chosen + r_rejected)²: keeps the mean, which preferences leave free, at zero (Eisenstein et al. 2023)."""
    return (chosen + rejected).square()


def classification_loss(logits: Float[Tensor, " texts"], positive: Float[Tensor, " texts"]) -> Float[Tensor, " texts"]:
    """Binary cross-entropy of the logit log p(positive)/p(negative) against labels in {0, 1}."""
    return F.binary_cross_entropy_with_logits(logits, positive, reduction="none")


def clipped_policy_loss(
    logprobs: Float[Tensor, "*tokens"],
    old_logprobs: Float[Tensor, "*tokens"],
    advantages: Float[Tensor, "*tokens"],
    *,
    clip_range: float,
) -> Float[Tensor, "*tokens"]:
    """Clipped surrogate objective, negated (Schulman et al. 2017, eq. 7)."""
    require_same_shape("logprobs", logprobs, "old_logprobs", old_logprobs)
    ratio = (logprobs - old_logprobs).exp()
    return torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1.0 - clip_range, 1.0 + clip_range))


def clipped_value_loss(
    values: Float[Tensor, "*tokens"],
    old_values: Float[Tensor, "*tokens"],
    returns: Float[Tensor, "*tokens"],
    *,
    clip_range: float,
) -> Float[Tensor, "*tokens"]:
    """½ max((v − R)², (clip(v, v_old ± ε) − R)²), the value clipping of PPO's reference code (Engstrom et al. 2020)."""
    require_same_shape("values", values, "returns", returns)
    clipped = old_values + (values - old_values).clamp(-clip_range, clip_range)
    return 0.5 * torch.maximum((values - returns).square(), (clipped - returns).square())
