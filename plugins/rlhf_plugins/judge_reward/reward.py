"""A judge as a reward source: the mean of its criteria per completion, the criteria beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.judge import Grade, Judge
from rlhf_core.contract.reward import Completion, Reward, RewardContext, Scores

from .options import JudgeRewardOptions


class JudgeReward(Reward):
    def __init__(self, options: JudgeRewardOptions) -> None:
        self.options = options
        self.name = str(options.judge["judge"])
        self._judge: Judge | None = None

    def prepare(self, context: RewardContext) -> None:
        """Raises: RLHFError naming what the judge can, when it cannot grade."""
        judge = context.build_judge(self.options.judge)
        if "grade" not in judge.can:
            can = ", ".join(sorted(judge.can)) or "nothing"
            raise RLHFError(f"reward judge: {self.name} can {can}, but a reward needs a judge that can grade")
        self._judge = judge

    def score(self, completions: Sequence[Completion]) -> Scores:
        """Raises: RLHFError when more than ``max_unjudged`` of the batch stayed without a valid grade."""
        assert self._judge is not None, "prepare() comes before score()"
        grades = self._judge.grade(completions)
        valid = [grade.score for grade in grades if grade.outcome == "valid" and grade.score is not None]
        missing = len(completions) - len(valid)
        if not valid or missing > self.options.max_unjudged * len(completions):
            raise RLHFError(self._too_few(grades, missing, len(completions)))
        mean = sum(valid) / len(valid)
        scores = [mean if _missing(grade) else float(grade.score or 0.0) for grade in grades]
        return Scores(scores, {**_criteria(grades), "unjudged": [float(_missing(grade)) for grade in grades]})

    def _too_few(self, grades: Sequence[Grade], missing: int, asked: int) -> str:
        outcomes = Counter(grade.outcome for grade in grades if _missing(grade))
        why = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        reason = next((grade.reason for grade in grades if _missing(grade) and grade.reason), "")
        return (
            f"reward judge: {self.name} left {missing} of {asked} completions without a valid grade ({why}); "
            f"max_unjudged is {self.options.max_unjudged:g}" + (f". The first: {reason}" if reason else "")
        )


def _missing(grade: Grade) -> bool:
    return grade.outcome != "valid" or grade.score is None


def _criteria(grades: Sequence[Grade]) -> dict[str, Sequence[float]]:
    """Each criterion, where a grade is missing as the mean of the others, like the score itself."""
    parts: dict[str, Sequence[float]] = {}
    for name in dict.fromkeys(name for grade in grades for name in grade.criteria):
        given = [grade.criteria[name] for grade in grades if not _missing(grade) and name in grade.criteria]
        mean = sum(given) / len(given) if given else 0.0
        parts[name] = [mean if _missing(grade) else grade.criteria.get(name, mean) for grade in grades]
    return parts
