"""A judge as a reward source: the mean of its criteria per completion, the criteria beside it; or who wins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.evaluator import reference_answer
from rlhf_core.contract.judge import Ability, Grade, Judge, Pair, Verdict
from rlhf_core.contract.reward import Completion, Reward, RewardContext, Scores

from .options import JudgeRewardOptions

_MIRROR: Final = {"first": "second", "second": "first", "tie": "tie"}


class JudgeReward(Reward):
    def __init__(self, options: JudgeRewardOptions) -> None:
        self.options = options
        self.name = str(options.judge["judge"])
        self._judge: Judge | None = None

    def prepare(self, context: RewardContext) -> None:
        """Raises: RLHFError naming what the judge can, when it cannot do what is asked of it."""
        judge = context.build_judge(self.options.judge)
        needed: Ability = "grade" if self.options.against is None else "compare"
        if needed not in judge.can:
            can = ", ".join(sorted(judge.can)) or "nothing"
            mend = "; name a column to compare with: against: COLUMN" if "compare" in judge.can else ""
            raise RLHFError(f"reward judge: {self.name} can {can}, but here it has to {needed}{mend}")
        self._judge = judge

    def score(self, completions: Sequence[Completion]) -> Scores:
        """Raises: RLHFError when more than ``max_unjudged`` of the batch stayed without a valid reply."""
        assert self._judge is not None, "prepare() comes before score()"
        grades = (
            self._judge.grade(completions)
            if self.options.against is None
            else self._compared(self._judge, completions, self.options.against)
        )
        valid = [grade.score for grade in grades if grade.outcome == "valid" and grade.score is not None]
        missing = len(completions) - len(valid)
        if not valid or missing > self.options.max_unjudged * len(completions):
            raise RLHFError(self._too_few(grades, missing, len(completions)))
        mean = sum(valid) / len(valid)
        scores = [mean if _missing(grade) else float(grade.score or 0.0) for grade in grades]
        return Scores(scores, {**_criteria(grades), "unjudged": [float(_missing(grade)) for grade in grades]})

    @staticmethod
    def _compared(judge: Judge, completions: Sequence[Completion], column: str) -> list[Grade]:
        """Each against its record's own, in both orders. Raises: RLHFError naming the prompt that has none."""
        texts = [reference_answer(one, column, evaluator="reward judge", option="against") for one in completions]
        others = [replace(one, text=text, tokens=None) for one, text in zip(completions, texts, strict=True)]
        straight = [Pair(first=one, second=other) for one, other in zip(completions, others, strict=True)]
        swapped = [Pair(first=pair.second, second=pair.first) for pair in straight]
        verdicts = judge.compare([*straight, *swapped])
        both = zip(verdicts[: len(straight)], verdicts[len(straight) :], strict=True)
        return [_points(*pair) for pair in both]

    def _too_few(self, grades: Sequence[Grade], missing: int, asked: int) -> str:
        outcomes = Counter(grade.outcome for grade in grades if _missing(grade))
        why = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        reason = next((grade.reason for grade in grades if _missing(grade) and grade.reason), "")
        return (
            f"reward judge: {self.name} left {missing} of {asked} completions without a valid reply ({why}); "
            f"max_unjudged is {self.options.max_unjudged:g}" + (f". The first: {reason}" if reason else "")
        )


def _points(straight: Verdict, swapped: Verdict) -> Grade:
    """1, ½ or 0; no score unless both orders have a valid verdict."""
    for one in (straight, swapped):
        if one.outcome != "valid" or one.winner is None:
            return Grade(score=None, outcome=one.outcome, reason=one.reason)
    won = straight.winner if straight.winner == _MIRROR[str(swapped.winner)] else "tie"
    return Grade(score={"first": 1.0, "tie": 0.5, "second": 0.0}[str(won)])


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
