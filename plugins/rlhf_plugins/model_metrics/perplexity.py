"""Perplexity under a fixed model: exp of the mean −log p per token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from functools import partial

import torch

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Need
from rlhf_core.contract.policy import Policy
from rlhf_core.contract.reward import Completion
from rlhf_core.math.logprobs import sequence_logprobs

from .options import PerplexityOptions
from .rows import batches, text_row


class Perplexity:
    """Of the text as the measuring model would read it: the same measure whatever tokenizer the run has.

    EOS is left out: it is not text, and a base model that never saw one after so short a text would say so alone.
    """

    def __init__(self, options: PerplexityOptions) -> None:
        self.options = options
        self.needs: Set[Need] = frozenset({"reference"} if options.model is None else ())

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        if self.options.model is not None:
            policy, role = context.lend.open_policy(self.options.model), "policy"
        else:
            assert context.policy is not None, "core fills what `needs` lists"
            policy, role = context.policy, "reference"
        logprobs, tokens = self._logprobs(policy, role, completions)
        return Evaluation(
            scores={"nats-per-token": [-lp / n if n else None for lp, n in zip(logprobs, tokens, strict=True)]},
            corpus=perplexity(logprobs, tokens, range(len(tokens))),
            recompute=partial(perplexity, logprobs, tokens),
            notes=["low perplexity alone is not quality: repetition has it too"],
        )

    @torch.no_grad()
    def _logprobs(self, policy: Policy, role: str, completions: Sequence[Completion]) -> tuple[list[float], list[int]]:
        """Per completion: log p of its text (nats) and its number of tokens; 0 and 0 for an empty text."""
        rows = [text_row(policy, completion, finished=False) for completion in completions]
        logprobs, tokens = [0.0] * len(rows), [0] * len(rows)
        for batch in batches(rows, self.options.batch_tokens):
            scored = policy.score([row for _, row in batch], role)
            assert scored.logprobs is not None, "logprobs were asked for"
            totals = sequence_logprobs(scored.logprobs, scored.mask).tolist()
            for (index, row), total in zip(batch, totals, strict=True):
                logprobs[index], tokens[index] = total, len(row.completions[0])
        return logprobs, tokens


def perplexity(logprobs: Sequence[float], tokens: Sequence[int], which: Sequence[int]) -> Mapping[str, float]:
    """exp(−Σ log p / Σ tokens) of the chosen completions together; nothing where they have no token."""
    count = sum(tokens[index] for index in which)
    return {"perplexity": math.exp(-sum(logprobs[index] for index in which) / count)} if count else {}
