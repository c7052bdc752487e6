"""KL(policy ‖ reference): three estimators from sampled tokens, and the exact value from both distributions.

Estimators: J. Schulman, "Approximating KL divergence" (2020). All take logprobs of tokens *sampled from the policy*.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from .masking import require_same_shape

KLEstimator = Literal["k1", "k2", "k3"]

LARGEST_ERROR = 0.2
"""Where the adaptive coefficient's relative error is clipped."""


def k1(logprobs: Float[Tensor, "*tokens"], ref_logprobs: Float[Tensor, "*tokens"]) -> Float[Tensor, "*tokens"]:
    """log(p/q): unbiased, may be negative on a sample however right the code is."""
    require_same_shape("logprobs", logprobs, "ref_logprobs", ref_logprobs)
    return logprobs - ref_logprobs


def k2(logprobs: Float[Tensor, "*tokens"], ref_logprobs: Float[Tensor, "*tokens"]) -> Float[Tensor, "*tokens"]:
    """½ log(p/q)²: biased, never negative, low variance."""
    return 0.5 * k1(logprobs, ref_logprobs).square()


def k3(logprobs: Float[Tensor, "*tokens"], ref_logprobs: Float[Tensor, "*tokens"]) -> Float[Tensor, "*tokens"]:
    """(q/p − 1) − log(q/p): unbiased and never negative."""
    log_ratio = -k1(logprobs, ref_logprobs)
    return torch.expm1(log_ratio) - log_ratio


ESTIMATORS = {"k1": k1, "k2": k2, "k3": k3}


def sequence_estimates(
    logprobs: Float[Tensor, "batch completion"], ref_logprobs: Float[Tensor, "batch completion"]
) -> dict[str, Float[Tensor, " batch"]]:
    """Each estimator summed over a completion's tokens: ``kl_k1``, ``kl_k2``, ``kl_k3``, nats per completion.

    The sums of k1 and of k3 estimate the KL of whole completions, by its chain rule. Padding holds zeros in both.
    """
    return {f"kl_{name}": estimate(logprobs, ref_logprobs).sum(1) for name, estimate in ESTIMATORS.items()}


def exact_kl(
    logits: Float[Tensor, "*tokens vocabulary"], ref_logits: Float[Tensor, "*tokens vocabulary"]
) -> Float[Tensor, "*tokens"]:
    """Σ_v p(v) log(p(v)/q(v)) per position, nats: zero or more up to rounding."""
    require_same_shape("logits", logits, "ref_logits", ref_logits)
    logprobs, ref_logprobs = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    return (logprobs.exp() * (logprobs - ref_logprobs)).sum(-1)


def adapt_kl_coef(kl_coef: float, kl: float, *, target: float, horizon: float, samples: int) -> float:
    """Proportional controller of the KL coefficient (Ziegler et al. 2019, sec. 2.2).

    Args:
        kl: measured KL per completion (nats). target: the KL to hold (nats).
        horizon: samples after which a clipped error of ±0.2 has moved the coefficient by about e^±0.2.
        samples: completions since the last call.
    """
    error = max(-LARGEST_ERROR, min(LARGEST_ERROR, kl / target - 1.0))
    return kl_coef * (1.0 + error * samples / horizon)
