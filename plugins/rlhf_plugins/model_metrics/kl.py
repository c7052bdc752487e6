"""KL(policy ‖ base) on the policy's own completions, estimated and exact, and the policy's entropy.

k1 = log(p/q) may be negative on a sample; k3 and the exact value per position cannot (J. Schulman, "Approximating KL
divergence", 2020). docs/kl.md says which to believe.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import torch
from torch import Tensor

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Need
from rlhf_core.contract.policy import Policy
from rlhf_core.contract.reward import Completion
from rlhf_core.contract.rows import Row
from rlhf_core.math.kl import sequence_estimates
from rlhf_core.math.masking import zero_masked

from .options import KLOptions
from .rows import batches, sampled_row

METRICS = ("k1", "k2", "k3", "exact", "exact-per-token", "k1-minus-exact", "entropy")


class KL:
    """Nats, summed over a completion's tokens; ``exact-per-token`` and ``entropy`` averaged over them.

    Given all tokens before it, a token that was sampled from the policy has an expected k1 equal to the exact value: so
    ``k1-minus-exact`` is zero but for chance, unless the completions were sampled from another distribution.
    """

    needs: Set[Need] = frozenset({"policy", "reference"})

    def __init__(self, options: KLOptions) -> None:
        self.options = options

    @torch.no_grad()
    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        assert context.policy is not None, "core fills what `needs` lists"
        rows = [sampled_row(context.policy, completion) for completion in completions]
        scores: dict[str, list[float | None]] = {name: [None] * len(rows) for name in METRICS}
        for batch in batches(rows, self.options.batch_tokens):
            measured = measure(context.policy, [row for _, row in batch], self.options.temperature)
            for name, values in measured.items():
                for (index, _), value in zip(batch, values.tolist(), strict=True):
                    scores[name][index] = value
        return Evaluation(
            scores=scores,
            notes=[
                f"at temperature {self.options.temperature:g}; k1 and k3 estimate the KL of completions sampled at it, "
                "without top-k or top-p; exact is the KL at the positions visited",
                "k1-minus-exact is 0 but for chance where that holds; where its interval lies away from 0 the "
                "completions came from another distribution: believe exact alone (docs/kl.md)",
            ],
        )


def measure(policy: Policy, rows: Sequence[Row], temperature: float) -> dict[str, Tensor]:
    """Each metric as a tensor ``[K]``, nats."""
    found = policy.compare(rows, want={"logprobs", "entropy"}, temperature=temperature)
    own, base = found.own, found.other
    mask, tokens = own.mask, own.mask.sum(dim=1)
    # Masked first: junk in the padding must not reach expm1, nor a sum.
    logprobs, ref_logprobs = zero_masked(own.logprobs, mask), zero_masked(base.logprobs, mask)
    estimates = sequence_estimates(logprobs, ref_logprobs)
    exact = zero_masked(found.kl, mask).sum(dim=1)
    return {
        **{name.removeprefix("kl_"): values for name, values in estimates.items()},
        "exact": exact,
        "exact-per-token": exact / tokens,
        "k1-minus-exact": estimates["kl_k1"] - exact,
        "entropy": zero_masked(own.entropy, mask).sum(dim=1) / tokens,
    }
