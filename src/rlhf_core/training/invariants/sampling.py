"""On fresh rollouts the policy gives each token the probability that it was sampled with: ratio 1.

In float32 anything else is a fault. In lower precision, with rollouts of 8-bit weights or of another engine, sampling
(token by token, from a cache) and scoring (all at once) round differently: the gap is then a figure to report, and a
stop only beyond what rounding explains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ...contract.policy import SamplingSpec
from ...contract.rows import Rollout
from ..world import World
from .violation import violated

if TYPE_CHECKING:
    from ..context import TrainablePolicy

RATIO_TOLERANCE = 1e-5
"""Of the mean ratio in float32; measured: 1e-7 with GPT-2's sizes."""
TOKEN_TOLERANCE = 1e-3
"""Nats, of a single token in float32; measured: 1e-5."""
ROUNDED_GAP = 0.1
"""Nats per token in lower precision; measured on two layers: .002 in bfloat16, .01 with 8-bit weights, .2 to .4 at
temperatures off by .3."""


@dataclass(frozen=True)
class SamplingGap:
    """Sums over ``tokens`` sampled tokens of how far logprobs of scoring are from those of sampling (nats).

    Args:
        ratio: sum of p(scored) / p(sampled). gap: sum of the absolute differences. worst: the largest of them.
    """

    tokens: float = 0.0
    ratio: float = 0.0
    gap: float = 0.0
    worst: float = 0.0

    def require_small(self, sampling: SamplingSpec, *, exact: bool) -> None:
        """Args: exact: both round alike: in float32, with the same weights, by the same library.

        Raises: TrainingStopped when the two are not of one distribution.
        """
        if not self.tokens:
            return
        mean, gap = self.ratio / self.tokens, self.gap / self.tokens
        close = abs(mean - 1.0) <= RATIO_TOLERANCE and self.worst <= TOKEN_TOLERANCE
        right = close if exact else gap <= ROUNDED_GAP
        if not right:
            raise violated(
                f"fresh rollouts: mean ratio {mean:.6g}, expected 1; logprobs of scoring and of sampling differ by "
                f"{gap:.3g} nats per token, at most {self.worst:.3g}",
                means="the loss would compare the policy with another distribution than the one that was sampled from",
                cause="sampling and scoring see different masks, positions or weights, dropout is on, or the rollouts "
                f"were not drawn at the stage's sampling.temperature = {sampling.temperature:g}",
            )

    def metrics(self, world: World) -> dict[str, float]:
        """``sampling_gap``: mean absolute difference per token over all ranks, nats."""
        summed = world.sum({"gap": self.gap, "tokens": self.tokens})
        return {"sampling_gap": summed["gap"] / summed["tokens"]} if summed["tokens"] else {}


def measure_gap(policy: TrainablePolicy, rollouts: Sequence[Rollout], sampling: SamplingSpec) -> SamplingGap:
    """Score rollouts again. Of truncated or greedy sampling there is no ratio to expect: an empty gap."""
    truncated = sampling.top_k is not None or (sampling.top_p is not None and sampling.top_p < 1)
    if not rollouts or truncated or sampling.temperature == 0:
        return SamplingGap()
    scored = policy.score(rollouts, temperature=sampling.temperature)
    sampled = torch.cat([logprobs for row in rollouts for logprobs in row.logprobs]).to(scored.logprobs)
    found = scored.logprobs[scored.mask]
    if found.shape != sampled.shape:
        raise violated(
            f"fresh rollouts: {len(found)} tokens are scored, {len(sampled)} have a logprob of sampling",
            means="logprobs and tokens of a rollout do not belong together",
            cause="the trainer's collect cut or lengthened completions without their logprobs",
        )
    difference = (found - sampled).double()
    return SamplingGap(
        tokens=float(len(difference)),
        ratio=float(difference.exp().sum()),
        gap=float(difference.abs().sum()),
        worst=float(difference.abs().max()) if math.isfinite(float(difference.sum())) else math.inf,
    )
