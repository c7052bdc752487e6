"""A reward that says the same of every text."""

from __future__ import annotations

from .finding import Finding
from .history import History, number

LEAST_ROWS = 5
SAME = 1e-9


def constant_scores(history: History) -> Finding | None:
    score = history.any_series("score").latest(LEAST_ROWS)
    if len(score) < LEAST_ROWS or max(score.values) - min(score.values) > SAME or any(score.errors):
        return None
    return Finding(
        size=1.0,
        says="every answer gets the same score: there is nothing to learn from",
        evidence=f"score {number(score.values[-1])} at each of the steps {score.steps[0]} to {score.steps[-1]}",
        cause="the reward looks for something that no answer has, is saturated, or is an untrained model",
        mend="score a few good and bad texts by hand with this reward, and mend it until they differ",
    )
