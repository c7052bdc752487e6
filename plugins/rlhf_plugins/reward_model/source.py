"""A trained reward model as a reward source: text in, the head's number at the last real token out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.reward import Completion, Reward, RewardContext
from rlhf_core.contract.rows import Row

from .options import RewardModelScoreOptions


class RewardModelScore(Reward):
    def __init__(self, options: RewardModelScoreOptions) -> None:
        self.options = options

    def prepare(self, context: RewardContext) -> None:
        self.policy = context.open_policy(self.options.run)

    def score(self, completions: Sequence[Completion]) -> list[float]:
        rows = [self._encode(completion) for completion in completions]
        scores: list[float] = []
        with torch.no_grad():
            for batch in self._batches(rows):
                logits = self.policy.score(batch, "reward", want={"last"}, head="reward").last.float()
                scores += self._output(logits).tolist()
        return scores

    def _encode(self, completion: Completion) -> Row:
        """From text and not from tokens: the reward model may have another tokenizer and template than the policy."""
        codec = self.policy.codec
        try:
            return codec.encode_completion(completion.conversation, completion.text, finished=completion.finished)
        except RLHFError as error:
            raise RLHFError(f"{completion.group}: reward-model {self.options.run}: {error}") from error

    def _output(self, logits: torch.Tensor) -> torch.Tensor:
        match self.options.output:
            case "logprob":
                return F.logsigmoid(logits)
            case "probability":
                return logits.sigmoid()
        return logits

    def _batches(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        batch: list[Row] = []
        cost = 0
        for row in rows:
            if batch and cost + row.cost > self.options.batch_tokens:
                yield batch
                batch, cost = [], 0
            batch.append(row)
            cost += row.cost
        if batch:
            yield batch
