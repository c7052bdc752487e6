"""Group relative policy optimization (Shao et al. 2024, DeepSeekMath, eq. 3 and 4).

Several completions of one prompt are sampled; the advantage of each is its score, less the group's mean, over the
group's standard deviation. There is no value model, and the KL to the reference stands in the loss, not in the reward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rlhf_core.contract.policy import Params
from rlhf_core.contract.records import PromptRecord
from rlhf_core.contract.rows import Loss, Rollout, Totals
from rlhf_core.contract.trainer import PER_ROW, AnyRow, BaseTrainer, Check, TrainContext
from rlhf_core.math.averages import averages
from rlhf_core.math.kl import k3, sequence_estimates
from rlhf_core.math.losses import clipped_policy_loss
from rlhf_core.math.masking import pad, zero_masked

from .options import GRPOOptions

LOGPROBS = ("logprobs", "ref_logprobs")


@dataclass(frozen=True, eq=False, kw_only=True)
class Group(Rollout):
    """Completions of one prompt: ``scores`` and ``advantages`` are ``[n]``, ``ref_logprobs`` n times ``[tokens]``."""

    scores: Tensor
    advantages: Tensor
    ref_logprobs: tuple[Tensor, ...]


class GRPO(BaseTrainer[Group]):
    Record = PromptRecord
    Row = Group
    dropout_ok = False
    best = ("score", "max")

    def __init__(self, options: GRPOOptions) -> None:
        self.options = options
        self.inner_epochs = options.inner_epochs

    @property
    def readings(self) -> Mapping[str, str]:
        return {
            "How should this loss move?": (
                "It need not fall: advantages have mean zero in each group, so the policy's part begins near zero in "
                "every batch. What should rise is the score. A group whose answers all score the same teaches nothing."
            ),
            "Which beta?": (
                f"This run has {self.options.beta:g}. It weighs the KL to the reference against advantages "
                "of unit size whatever the reward's scale. Score up while the texts grow alike: raise it."
            ),
        }

    def prepare(self, context: TrainContext) -> Mapping[str, Params]:
        self.context, self.policy = context, context.policy
        self.sampling = replace(context.sampling, n=self.options.group_size)
        return {"policy": self.policy.train_role("policy")}

    def collect(self, rows: Sequence[AnyRow], *, seed: int) -> Sequence[Group]:
        rollouts = self.policy.sample(rows, self.sampling, seed=seed)
        scores = torch.tensor(self.context.score(rollouts).total).view(-1, self.options.group_size)
        advantages = (scores - scores.mean(1, keepdim=True)) / (scores.std(1, keepdim=True) + 1e-4)
        reference = self.policy.score(rollouts, "reference", temperature=self.sampling.temperature)
        per_completion = [line[mask].cpu() for line, mask in zip(reference.logprobs, reference.mask, strict=True)]
        size = self.options.group_size
        return [
            Group(
                **vars(rollout), scores=scores[i], advantages=advantages[i],
                ref_logprobs=tuple(per_completion[i * size : (i + 1) * size]),
            )
            for i, rollout in enumerate(rollouts)
        ]  # fmt: skip

    def loss(self, rows: Sequence[Group], totals: Totals) -> Loss:
        now = self.policy.score(rows, temperature=self.sampling.temperature)
        old = pad([line for row in rows for line in row.logprobs]).to(now.logprobs)
        reference = pad([line for row in rows for line in row.ref_logprobs]).to(now.logprobs)
        advantages = torch.cat([row.advantages for row in rows]).to(now.logprobs)[:, None].expand_as(now.logprobs)
        policy_loss = clipped_policy_loss(now.logprobs, old, advantages, clip_range=self.options.clip_range)
        kl = k3(now.logprobs, reference)
        per_token = {
            "total": policy_loss + self.options.beta * kl, "kl_in_loss": kl, "ratio": (now.logprobs - old).exp(),
        }  # fmt: skip
        # The mean over a completion's tokens, then over completions: a long answer weighs no more than a short one.
        sums = {
            name: (zero_masked(values, now.mask).sum(1) / now.mask.sum(1)).sum() / totals.completions
            for name, values in per_token.items()
        }
        return Loss(sums.pop("total"), {name: value.detach() for name, value in sums.items()})

    def batch_metrics(self, rows: Sequence[Group], totals: Totals) -> Mapping[str, Tensor]:
        """Score and KL estimates (nats per completion), each with its standard error over prompts."""
        estimates = sequence_estimates(*(pad([x for row in rows for x in getattr(row, name)]) for name in LOGPROBS))
        per_completion = {"score": torch.cat([row.scores for row in rows]), **estimates}
        return averages({name: values.view(len(rows), -1) for name, values in per_completion.items()}, totals.rows)

    def validate(self, rows: Sequence[AnyRow], totals: Totals, *, seed: int) -> Mapping[str, Tensor]:
        groups = self.collect(rows, seed=seed)
        scores = torch.stack([group.scores.mean() for group in groups])
        return {**self.batch_metrics(groups, totals), f"{PER_ROW}score": scores}

    def checks(self) -> Sequence[Check]:
        meaning = "sampling and scoring must give each token one probability before the first update"
        return [Check(metric="ratio", expected=1.0, tolerance=1e-3, meaning=meaning)]
