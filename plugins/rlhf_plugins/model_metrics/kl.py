"""KL(policy ‖ base) on the policy's own completions, three ways, and the policy's entropy.

k1 = log(p/q) may be negative on a sample; k3 and the exact value per position cannot (J. Schulman, "Approximating KL
divergence", 2020). All are of the models' own distributions (temperature 1).
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import torch
from torch import Tensor

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Need
from rlhf_core.contract.policy import Policy
from rlhf_core.contract.reward import Completion
from rlhf_core.contract.rows import Row
from rlhf_core.math.kl import k1, k3
from rlhf_core.math.masking import zero_masked

from .options import KLOptions
from .rows import batches, sampled_row

METRICS = ("k1", "k3", "exact", "exact-per-token", "entropy")


class KL:
    """Nats: ``k1``, ``k3``, ``exact`` summed over a completion's tokens; ``exact-per-token``, ``entropy`` averaged."""

    needs: Set[Need] = frozenset({"policy", "reference"})

    def __init__(self, options: KLOptions) -> None:
        self.options = options

    @torch.no_grad()
    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        assert context.policy is not None, "core fills what `needs` lists"
        rows = [sampled_row(context.policy, completion) for completion in completions]
        scores: dict[str, list[float | None]] = {name: [None] * len(rows) for name in METRICS}
        for batch in batches(rows, self.options.batch_tokens):
            measured = measure(context.policy, [row for _, row in batch])
            for name, values in measured.items():
                for (index, _), value in zip(batch, values.tolist(), strict=True):
                    scores[name][index] = value
        return Evaluation(
            scores=scores,
            notes=[
                "k1 and k3 estimate the KL only for completions sampled at temperature 1 without top-k or top-p; "
                "exact is the KL at the positions visited"
            ],
        )


def measure(policy: Policy, rows: Sequence[Row]) -> dict[str, Tensor]:
    """Each metric as a tensor ``[K]``, nats."""
    own = policy.score(rows, "policy", want={"logprobs", "entropy"})
    base = policy.score(rows, "reference")
    assert own.logprobs is not None, "logprobs were asked for"
    assert own.entropy is not None, "entropy was asked for"
    assert base.logprobs is not None, "logprobs were asked for"
    mask, tokens = own.mask, own.mask.sum(dim=1)
    # Masked first: junk in the padding must not reach expm1, nor a sum.
    logprobs, ref_logprobs = zero_masked(own.logprobs, mask), zero_masked(base.logprobs, mask)
    exact = zero_masked(policy.exact_kl(rows), mask).sum(dim=1)
    return {
        "k1": k1(logprobs, ref_logprobs).sum(dim=1),
        "k3": k3(logprobs, ref_logprobs).sum(dim=1),
        "exact": exact,
        "exact-per-token": exact / tokens,
        "entropy": zero_masked(own.entropy, mask).sum(dim=1) / tokens,
    }
