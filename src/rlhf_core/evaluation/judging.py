"""A judge as an evaluator: compared with a baseline in both orders, or grading on its own.

A reply that is not valid never counts: not as a loss, not as a 0. It is counted beside the result, by its outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Final, get_args

from ..contract.errors import RLHFError
from ..contract.evaluator import EvalContext, Evaluation, Evaluator, Need
from ..contract.judge import Grade, Judge, Outcome, Pair, Verdict
from ..contract.reward import Completion
from .preferences import length_controlled_win_rate
from .probing import attack_note, fooled_by_grade, fooled_by_pair, probe_completions, probe_pairs
from .yardsticks import YARDSTICKS

LENGTH_CONTROLLED: Final = "length-controlled-win-rate"
SELF_CONSISTENCY: Final = "self-consistency"
_HIGHER: Final = "higher"
FAULTS: Final = tuple(outcome for outcome in get_args(Outcome) if outcome != "valid")


def judge_evaluator(judge: Judge, *, baseline: bool, probes: int = 0, seed: int = 0) -> Evaluator:
    """What the judge can do here: compare where there is a baseline, else grade.

    Args:
        probes: known-wrong completions that only ask for a good verdict, mixed into what the judge sees.
        seed: of the draw of what they stand against.
    Raises: RLHFError naming what the judge can and what would make use of it.
    """
    if baseline and "compare" in judge.can:
        return PairwiseEvaluator(judge, probes=probes, seed=seed)
    if "grade" in judge.can:
        return GradingEvaluator(judge, probes=probes, seed=seed)
    can = ", ".join(sorted(judge.can)) or "nothing"
    raise RLHFError(
        f"this judge can {can}, and there is no baseline to compare with: "
        "name one (--baseline RUN|base), or use a judge that can grade"
    )


class PairwiseEvaluator:
    """Each completion against the baseline's, in both orders (Zheng et al. 2023, sec. 3.4).

    A win only when both orders say so; orders that disagree make a tie. The win rate is (W + ½T)/N. Beside it stand
    the win rate with the length taken out, and those by judges that know nothing.
    """

    needs: Set[Need] = frozenset({"baseline"})

    def __init__(self, judge: Judge, *, probes: int = 0, seed: int = 0) -> None:
        self.judge = judge
        self.probes = probes
        self.seed = seed

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        baseline = context.baseline or ()
        straight = [Pair(first=own, second=other) for own, other in zip(completions, baseline, strict=True)]
        swapped = [Pair(first=pair.second, second=pair.first) for pair in straight]
        planted = probe_pairs(completions, self.probes, seed=self.seed)
        replies = self.judge.compare([*straight, *swapped, *planted])
        _require_answers(len(replies), 2 * len(straight) + len(planted), "compare")
        verdicts, to_probes = replies[: 2 * len(straight)], replies[2 * len(straight) :]
        both = list(zip(verdicts[: len(straight)], verdicts[len(straight) :], strict=True))
        outcomes = [_outcome(*pair) for pair in both]
        wins = Counter(outcomes)
        by_length = self._length_control(straight, outcomes)
        return Evaluation(
            scores={
                "win-rate": outcomes,
                "swap-consistency": [_consistent(*pair) for pair in both],
                "first-rate": [_first_rate(pair) for pair in both],
                **_self_consistency(both),
                "agrees-with-longest": _agreement(outcomes, yardstick_outcomes("longest", straight, swapped)),
                **{f"by-{name}": yardstick_outcomes(name, straight, swapped) for name in YARDSTICKS},
            },
            corpus={
                **by_length(range(len(straight))),
                "wins": wins[1.0], "ties": wins[0.5], "losses": wins[0.0], **_faults(verdicts),
                **_attack_rate(fooled_by_pair(to_probes)),
            },
            notes=[*_notes([*replies], "a comparison"), *_attack_notes(fooled_by_pair(to_probes))],
            rows=[_comparison_row(other, *pair) for other, pair in zip(baseline, both, strict=True)],
            shares={"win-rate", "swap-consistency", "agrees-with-longest", *(f"by-{name}" for name in YARDSTICKS)},
            better=dict.fromkeys(("win-rate", LENGTH_CONTROLLED, "swap-consistency", SELF_CONSISTENCY), _HIGHER),
            neutral={
                "win-rate": 0.5, LENGTH_CONTROLLED: 0.5, "first-rate": 0.5, "agrees-with-longest": 0.5,
                **{f"by-{name}": 0.5 for name in YARDSTICKS},
            },
            recompute=by_length,
        )  # fmt: skip

    @staticmethod
    def _length_control(
        pairs: Sequence[Pair], outcomes: Sequence[float | None]
    ) -> Callable[[Sequence[int]], dict[str, float]]:
        """The win rate at equal length over some of the pairs, by index."""

        def over(indices: Sequence[int]) -> dict[str, float]:
            rate = length_controlled_win_rate(
                [outcomes[i] for i in indices],
                [len(pairs[i].first.text) for i in indices],
                [len(pairs[i].second.text) for i in indices],
            )
            return {} if rate is None else {LENGTH_CONTROLLED: rate}

        return over


class GradingEvaluator:
    """Each completion on its own: each criterion on its own scale, the mean of them as ``score``, and ``success``, the
    share that the judge's strict rule lets pass."""

    needs: Set[Need] = frozenset()

    def __init__(self, judge: Judge, *, probes: int = 0, seed: int = 0) -> None:
        self.judge = judge
        self.probes = probes
        self.seed = seed

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        planted = probe_completions(completions, self.probes, seed=self.seed)
        replies = self.judge.grade([*completions, *planted])
        _require_answers(len(replies), len(completions) + len(planted), "grade")
        grades, fooled = replies[: len(completions)], fooled_by_grade(replies[len(completions) :])
        criteria = list(dict.fromkeys(name for grade in grades for name in grade.criteria))
        scores: dict[str, list[float | None]] = {"score": [_valid_score(grade) for grade in grades]}
        for name in criteria:
            scores[name] = [grade.criteria.get(name) if grade.outcome == "valid" else None for grade in grades]
        if any(grade.success is not None for grade in grades):
            scores["success"] = [None if grade.success is None else float(grade.success) for grade in grades]
        scores |= _self_consistency([(grade,) for grade in grades])
        return Evaluation(
            scores=scores,
            corpus={**_faults(grades), **_attack_rate(fooled)},
            notes=[*_notes(replies, "a completion"), *_attack_notes(fooled)],
            rows=[{"outcome": grade.outcome, "reason": grade.reason} for grade in grades],
            shares={"success"},
            better=dict.fromkeys(scores, _HIGHER),
        )


def yardstick_outcomes(name: str, straight: Sequence[Pair], swapped: Sequence[Pair]) -> list[float | None]:
    """What a judge that knows nothing makes of the same pairs in both orders."""
    judge = YARDSTICKS[name]
    return [_outcome(*both) for both in zip(judge.compare(straight), judge.compare(swapped), strict=True)]


def _agreement(outcomes: Sequence[float | None], others: Sequence[float | None]) -> list[float | None]:
    """1 where both name the same completion, 0 where they name different ones, None where one of them names none."""
    decided = (0.0, 1.0)
    return [
        float(own == other) if own in decided and other in decided else None
        for own, other in zip(outcomes, others, strict=True)
    ]


def _attack_rate(fooled: Sequence[bool]) -> dict[str, float]:
    return {"attack-success": sum(fooled) / len(fooled)} if fooled else {}


def _attack_notes(fooled: Sequence[bool]) -> list[str]:
    return [attack_note(fooled)] if fooled else []


def _outcome(straight: Verdict, swapped: Verdict) -> float | None:
    """1 for a win, ½ for a tie, 0 for a loss, None unless both replies are valid."""
    if not _valid(straight) or not _valid(swapped):
        return None
    if straight.winner == "first" and swapped.winner == "second":
        return 1.0
    if straight.winner == "second" and swapped.winner == "first":
        return 0.0
    return 0.5


_MIRROR = {"first": "second", "second": "first", "tie": "tie"}


def _consistent(straight: Verdict, swapped: Verdict) -> float | None:
    """1 when the swapped order names the same completion (or a tie again), 0 when it does not."""
    if straight.winner is None or not _valid(straight) or not _valid(swapped):
        return None
    return float(_MIRROR[straight.winner] == swapped.winner)


def _self_consistency(replies: Sequence[Sequence[Verdict | Grade]]) -> dict[str, list[float | None]]:
    """How often two replies to the same question agree, where a judge was asked more than once."""
    known = [[one.agreement for one in asked if one.agreement is not None] for asked in replies]
    return {SELF_CONSISTENCY: [sum(own) / len(own) if own else None for own in known]} if any(known) else {}


def _first_rate(verdicts: Sequence[Verdict]) -> float | None:
    """How often the completion shown first won, among replies that named a winner: 0.5 without position bias."""
    decided = [verdict.winner for verdict in verdicts if _valid(verdict) and verdict.winner != "tie"]
    return sum(winner == "first" for winner in decided) / len(decided) if decided else None


def _valid(verdict: Verdict) -> bool:
    return verdict.outcome == "valid" and verdict.winner is not None


def _valid_score(grade: Grade) -> float | None:
    return grade.score if grade.outcome == "valid" else None


def _faults(replies: Sequence[Verdict | Grade]) -> dict[str, float]:
    """The number of replies of each outcome but the valid one."""
    counts = Counter(reply.outcome for reply in replies)
    return {fault: float(counts[fault]) for fault in FAULTS}


def _notes(replies: Sequence[Verdict | Grade], what: str) -> list[str]:
    usage: dict[str, float] = {}
    for reply in replies:
        for name, amount in reply.usage.items():
            usage[name] = usage.get(name, 0.0) + amount
    notes = [", ".join(f"{amount:.10g} {name.replace('_', ' ')}" for name, amount in usage.items())] if usage else []
    missing = sum(reply.outcome != "valid" for reply in replies)
    if missing:
        notes.append(
            f"{missing} of {len(replies)} replies were not valid; {what} without a valid verdict counts nowhere, "
            "neither as a loss nor as a 0"
        )
    return notes


def _comparison_row(other: Completion, straight: Verdict, swapped: Verdict) -> Mapping[str, object]:
    """Both replies, in the terms of the run: who was named, not in which place it stood."""
    names = {"first": "run", "second": "baseline", "tie": "tie", None: None}
    swapped_names = {"first": "baseline", "second": "run", "tie": "tie", None: None}
    return {
        "baseline": other.text,
        "run-first": names[straight.winner],
        "baseline-first": swapped_names[swapped.winner],
        "run-first-outcome": straight.outcome,
        "baseline-first-outcome": swapped.outcome,
        "run-first-reason": straight.reason,
        "baseline-first-reason": swapped.reason,
    }


def _require_answers(found: int, expected: int, method: str) -> None:
    if found != expected:
        raise RLHFError(f"the judge's {method} gave {found} replies to {expected} questions; report this to its author")
