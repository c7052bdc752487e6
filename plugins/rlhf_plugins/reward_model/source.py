"""A trained reward model as a reward source: text in, the head's number at the last real token out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from rlhf_core.contract.reward import Completion, Reward, RewardContext

from .options import RewardModelScoreOptions
from .scoring import logits_of


class RewardModelScore(Reward):
    def __init__(self, options: RewardModelScoreOptions) -> None:
        self.options = options

    def prepare(self, context: RewardContext) -> None:
        self.policy = context.open_policy(self.options.run)

    def score(self, completions: Sequence[Completion]) -> list[float]:
        run, batch_tokens = self.options.run, self.options.batch_tokens
        found: list[float] = self._output(
            logits_of(self.policy, completions, run=run, batch_tokens=batch_tokens)
        ).tolist()
        return found

    def _output(self, logits: torch.Tensor) -> torch.Tensor:
        match self.options.output:
            case "logprob":
                return F.logsigmoid(logits)
            case "probability":
                return logits.sigmoid()
        return logits
