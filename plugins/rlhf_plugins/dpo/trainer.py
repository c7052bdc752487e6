"""Direct Preference Optimization (Rafailov et al. 2023, eq. 7), and other losses on the same margins.

The implicit reward is r(y) = beta · (log pi(y|x) − log pi_ref(y|x)), the loss −log sigma(r(chosen) − r(rejected)).
The loss is not bounded below: it falls as the gap grows, also when both likelihoods sink. ``chosen_logprob_change``
shows which of the two happens. Left out: losses that need more than the four logprobs of a pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rlhf_core.contract.policy import Params, SamplingSpec
from rlhf_core.contract.records import Preference
from rlhf_core.contract.rows import Loss, PairRow, Totals
from rlhf_core.contract.trainer import AnyRow, BaseTrainer, Check, TrainContext
from rlhf_core.math.averages import averages
from rlhf_core.math.kl import sequence_estimates
from rlhf_core.math.logprobs import mean_logprobs, sequence_logprobs
from rlhf_core.math.masking import pad

from .objectives import OBJECTIVES
from .options import DPOOptions
from .readings import readings

START_WITHIN = 0.02
"""Nats: margins of one model in two passes differ by no more."""
ROUNDING = 1e-6
"""Share of a loss that float32 loses in a mean, however small beta makes the margins."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ReferencedPair(PairRow):
    """``ref_logprobs``: float32 ``[2]``, of (chosen, rejected) under the reference: per sequence, or per token."""

    ref_logprobs: Tensor


class DPO(BaseTrainer[ReferencedPair]):
    Record = Preference
    Row = ReferencedPair
    dropout_ok = False

    def __init__(self, options: DPOOptions) -> None:
        self.options = options
        self.objective = OBJECTIVES[options.loss](options)
        self.logprobs_of = mean_logprobs if options.length_normalised else sequence_logprobs

    @property
    def readings(self) -> Mapping[str, str]:
        return readings(self.options)

    def prepare(self, context: TrainContext) -> Mapping[str, Params]:
        self.context = context
        self.policy = context.policy
        return {"policy": self.policy.train_role("policy")}

    def collect(self, rows: Sequence[AnyRow], *, seed: int) -> Sequence[ReferencedPair]:
        logprobs = [pad(each) for each in self.context.reference_logprobs(rows)]
        return [
            ReferencedPair(
                record_id=row.record_id,
                prompt=row.prompt,
                completions=row.completions,
                ref_logprobs=self.logprobs_of(each, completion_mask(row)),
            )
            for row, each in zip(rows, logprobs, strict=True)
        ]

    def loss(self, rows: Sequence[ReferencedPair], totals: Totals) -> Loss:
        scored = self.policy.score(rows)
        chosen, rejected = self.logprobs_of(scored.logprobs, scored.mask).view(-1, 2).unbind(1)
        ref_chosen, ref_rejected = torch.stack([row.ref_logprobs for row in rows]).to(chosen).unbind(1)
        losses = self.objective.loss(chosen, rejected, ref_chosen, ref_rejected)
        with torch.no_grad():
            chosen_reward = self.options.beta * (chosen - ref_chosen)
            rejected_reward = self.options.beta * (rejected - ref_rejected)
            metrics = {
                "accuracy": 0.5 + 0.5 * (chosen_reward - rejected_reward).sign(),
                "reward_margin": chosen_reward - rejected_reward,
                "chosen_reward": chosen_reward,
                "rejected_reward": rejected_reward,
                "chosen_logprob_change": chosen - ref_chosen,
                "rejected_logprob_change": rejected - ref_rejected,
            }
        return Loss(losses.sum() / totals.rows, averages(metrics, totals.rows), per_row=losses.detach())

    def validate(self, rows: Sequence[AnyRow], totals: Totals, *, seed: int) -> Mapping[str, Tensor]:
        """The loss on held-out pairs, and how far free answers to their prompts have moved from the reference."""
        return {**super().validate(rows, totals, seed=seed), **self._drift(rows, totals, seed)}

    def _drift(self, rows: Sequence[AnyRow], totals: Totals, seed: int) -> Mapping[str, Tensor]:
        """KL (nats per completion), entropy (nats per token) and length of samples at temperature 1."""
        spec = SamplingSpec(max_new_tokens=self.context.sampling.max_new_tokens)
        prompts = [AnyRow(record_id=row.record_id, prompt=row.prompt) for row in rows]
        samples = self.policy.sample(prompts, spec, seed=seed)
        positions = self.options.exact_kl_positions
        found = self.policy.compare(samples, want={"logprobs", "entropy"}, positions=positions, seed=seed)
        lengths = found.own.mask.sum(1)
        per_sample = {
            **sequence_estimates(found.own.logprobs, found.other.logprobs),
            "entropy": found.own.entropy.sum(1) / lengths,
            "length": lengths.float(),
        }
        if positions != 0:
            per_sample["kl_exact"] = found.kl.sum(1)
        return averages(per_sample, totals.rows)

    def checks(self) -> Sequence[Check]:
        return [
            Check(
                metric="loss",
                expected=self.objective.start,
                tolerance=max(START_WITHIN * self.objective.slope, ROUNDING * self.objective.start),
                meaning=f"loss {self.options.loss} starts at {self.objective.start:.4g} because policy and reference "
                "are the same model; they are not here: the reference is another model, or dropout is on",
            )
        ]


def completion_mask(row: AnyRow) -> Tensor:
    """bool ``[completions, longest]``, True at tokens."""
    return pad([torch.ones(len(tokens), dtype=torch.bool) for tokens in row.completions])
