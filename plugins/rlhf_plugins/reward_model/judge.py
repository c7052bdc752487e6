"""A trained reward model as a judge: of two completions the one with the higher score wins.

It only compares: its score is a log-odds up to a constant of the prompt (Bradley & Terry 1952), not a grade from
1 to 5, and is never rescaled into one.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.judge import Ability, Grade, JudgeContext, Pair, Verdict, Winner
from rlhf_core.contract.reward import Completion

from .options import RewardModelJudgeOptions
from .scoring import logits_of


class RewardModelJudge:
    can: Set[Ability] = frozenset({"compare"})

    def __init__(self, options: RewardModelJudgeOptions) -> None:
        self.options = options

    def prepare(self, context: JudgeContext) -> None:
        """Raises: RLHFError when there is no such run."""
        self.policy = context.open_policy(self.options.run)

    def compare(self, pairs: Sequence[Pair]) -> list[Verdict]:
        # Each completion once: both orders of a pair then see the very same numbers.
        seen = {id(one): one for pair in pairs for one in (pair.first, pair.second)}
        run, batch_tokens = self.options.run, self.options.batch_tokens
        logits = logits_of(self.policy, list(seen.values()), run=run, batch_tokens=batch_tokens)
        scores = dict(zip(seen, logits.tolist(), strict=True))
        return [self._verdict(scores[id(pair.first)], scores[id(pair.second)]) for pair in pairs]

    def _verdict(self, first: float, second: float) -> Verdict:
        return Verdict(winner=self._winner(first - second), reason=f"score {first:.4g} against {second:.4g}")

    def _winner(self, apart: float) -> Winner:
        if abs(apart) <= self.options.margin:
            return "tie"
        return "first" if apart > 0 else "second"

    def grade(self, completions: Sequence[Completion]) -> list[Grade]:
        raise RLHFError("judge reward-model only compares; the evaluator reward-model tells its scores")
