"""A reward that says the same of every text, or of every answer to a prompt."""

from __future__ import annotations

from .finding import Finding
from .history import History, Series, number

LEAST_ROWS = 5
LEAST_EVALUATIONS = 3
SAME = 1e-9
TEXTS = ("length", "text/words", "text/word-length", "text/separators")
"""Held-out measures of the answers: where one of them moves, the answers are others than they were."""


def constant_scores(history: History) -> Finding | None:
    score, held_out = history.any_series("score"), history.series("score", "validation")
    late = score.latest(LEAST_ROWS)
    if len(late) == LEAST_ROWS and _is_one(late) and late.values[-1] <= score.values[0] + SAME:
        says = "every answer gets the same score: there is nothing to learn from"
        evidence = f"score {number(late.values[-1])} at each of the steps {late.steps[0]} to {late.steps[-1]}"
    elif len(held_out) >= LEAST_EVALUATIONS and _spread(held_out) <= SAME and _answers_change(history):
        # The same prompts are answered each time, otherwise each time, for the same mean score to the last digit.
        says = "a score depends on the prompt alone: whatever is answered gets the same"
        evidence = f"held-out score {number(held_out.values[-1])} at each of {len(held_out)} evaluations of new answers"
    else:
        return None
    return Finding(
        size=1.0,
        says=says,
        evidence=evidence,
        cause="the reward looks for something that no answer has, is saturated, or is an untrained model",
        mend="score a few good and bad texts by hand with this reward, and mend it until they differ",
    )


def _is_one(score: Series) -> bool:
    return _spread(score) <= SAME and not any(error and error > SAME for error in score.errors)


def _spread(series: Series) -> float:
    return max(series.values) - min(series.values)


def _answers_change(history: History) -> bool:
    measured = (history.series(name, "validation") for name in TEXTS)
    return any(series and len(set(series.values)) == len(series) for series in measured)
