"""What every judge must do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import get_args

from rlhf_core.contract.judge import Ability, Grade, Judge, JudgeContext, Outcome, Pair, Verdict, Winner
from rlhf_core.contract.reward import Completion

from .expecting import expecting
from .lending import judge_context
from .samples import completions


def check_judge(
    judge: Judge, *, context: JudgeContext | None = None, samples: Sequence[Completion] | None = None
) -> None:
    """One reply per question, in order; a winner or score exactly where the outcome is ``"valid"``.

    Args:
        context: what a judge that has a method ``prepare`` is given.
        samples: completions to judge; neighbours are compared with each other, whatever their prompts.
    Raises: AssertionError in one line.
    """
    name = type(judge).__name__
    abilities = set(get_args(Ability))
    assert judge.can, f"{name}: can is empty; it must hold 'compare', 'grade' or both"
    assert judge.can <= abilities, f"{name}: can {sorted(judge.can - abilities)}; there are {sorted(abilities)}"
    prepare = getattr(judge, "prepare", None)
    if prepare is not None:
        with expecting(f"{name}: prepare()"):
            prepare(context or judge_context())
    asked = completions() if samples is None else list(samples)
    if "compare" in judge.can:
        _check_compare(name, judge, asked)
    if "grade" in judge.can:
        _check_grade(name, judge, asked)


def _check_compare(name: str, judge: Judge, asked: Sequence[Completion]) -> None:
    pairs = [Pair(first=first, second=second) for first, second in pairwise(asked)]
    verdicts = judge.compare(pairs)
    assert len(verdicts) == len(pairs), f"{name}: {len(verdicts)} verdicts for {len(pairs)} pairs"
    for verdict in verdicts:
        assert isinstance(verdict, Verdict), f"{name}: compare() gave a {type(verdict).__name__}, not a Verdict"
        _require_outcome(name, "winner", verdict.winner, verdict.outcome)
        winners = (*get_args(Winner), None)
        assert verdict.winner in winners, f"{name}: winner {verdict.winner!r} is none of {winners}"
    assert len(judge.compare([])) == 0, f"{name}: compare([]) must give no verdict"


def _check_grade(name: str, judge: Judge, asked: Sequence[Completion]) -> None:
    grades = judge.grade(asked)
    assert len(grades) == len(asked), f"{name}: {len(grades)} grades for {len(asked)} completions"
    for grade in grades:
        assert isinstance(grade, Grade), f"{name}: grade() gave a {type(grade).__name__}, not a Grade"
        _require_outcome(name, "score", grade.score, grade.outcome)
        numbers = [number for number in (grade.score, *grade.criteria.values()) if number is not None]
        assert all(map(math.isfinite, numbers)), f"{name}: a grade holds {numbers}, which are not all finite"
    assert len(judge.grade([])) == 0, f"{name}: grade([]) must give no grade"


def _require_outcome(name: str, field: str, value: object, outcome: str) -> None:
    assert outcome in get_args(Outcome), f"{name}: outcome {outcome!r} is none of {', '.join(get_args(Outcome))}"
    assert (value is not None) == (outcome == "valid"), (
        f"{name}: {field} is {value!r} with outcome {outcome!r}; there is one exactly where it is 'valid'"
    )
