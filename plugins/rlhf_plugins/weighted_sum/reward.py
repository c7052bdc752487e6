"""Σ weight · score over other reward sources."""

from __future__ import annotations

from collections.abc import Sequence

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.reward import Completion, Reward, RewardContext, RewardSource, Scores

from .options import Part, WeightedSumOptions


class WeightedSum(Reward):
    """``Scores.parts`` holds each part's score before its weight, and as ``part/name`` what that part is made of."""

    def __init__(self, options: WeightedSumOptions) -> None:
        self.options = options
        self._sources: list[tuple[Part, RewardSource]] = []

    def prepare(self, context: RewardContext) -> None:
        self._sources = [(part, context.build_reward(part.section)) for part in self.options.parts]

    def score(self, completions: Sequence[Completion]) -> Scores:
        """Raises: RLHFError naming the part that gave too few or too many scores."""
        total = [0.0] * len(completions)
        parts: dict[str, Sequence[float]] = {}
        for part, source in self._sources:
            answer = source.score(completions)
            scores = answer if isinstance(answer, Scores) else Scores(answer)
            if len(scores.total) != len(completions):
                raise RLHFError(
                    f"reward weighted-sum: part {part.label} gave {len(scores.total)} scores "
                    f"for {len(completions)} completions"
                )
            total = [before + part.weight * score for before, score in zip(total, scores.total, strict=True)]
            parts[part.label] = scores.total
            parts.update({f"{part.label}/{name}": values for name, values in scores.parts.items()})
        return Scores(total, parts)
