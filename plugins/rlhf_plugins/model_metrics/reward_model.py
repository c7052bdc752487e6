"""The score of a trained reward model: its head at the completion's last real token."""

from __future__ import annotations

from collections.abc import Sequence, Set

import torch

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Need
from rlhf_core.contract.reward import Completion

from .options import RewardModelScoreOptions
from .rows import batches, text_row


class RewardModelScore:
    """The text goes through the reward model's own template and tokenizer."""

    needs: Set[Need] = frozenset()

    def __init__(self, options: RewardModelScoreOptions) -> None:
        self.options = options

    @torch.no_grad()
    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        policy = context.lend.open_policy(self.options.run)
        rows = [text_row(policy, completion, finished=completion.finished) for completion in completions]
        scores: list[float | None] = [None] * len(rows)
        for batch in batches(rows, self.options.batch_tokens):
            last = policy.score([row for _, row in batch], role="reward", want={"last"}, head="reward").last
            assert last is not None, "last was asked for"
            for (index, _), score in zip(batch, last.tolist(), strict=True):
                scores[index] = score
        return Evaluation(
            scores={"score": scores},
            better={"score": "higher"},
            notes=[f"scores of {self.options.run}; a policy trained on this reward model is flattered by it"],
        )
