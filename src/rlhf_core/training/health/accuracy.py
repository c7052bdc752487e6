"""Held-out pairs or labels that are told apart no better than by tossing a coin."""

from __future__ import annotations

import math

from .change import change
from .finding import Finding
from .history import History, number

LEAST_ROWS = 3
SINCE = 0.9
"""Share of the training after which something should have been learnt: it may come late, and suddenly."""
SURE = 2.0
LEAST_FALL = 0.01
"""Share of the held-out loss that must have gone for it to have fallen: weights that hardly move lower it, too."""


def chance_accuracy(history: History) -> Finding | None:
    accuracy = history.series("accuracy", "validation")
    if len(accuracy) < LEAST_ROWS or history.progress < SINCE:
        return None
    late = accuracy.latest(LEAST_ROWS)
    limit = chance_limit(history.facts.held_out)
    if max(late.values) > limit or _learns(history):
        return None
    return Finding(
        size=1.0,
        says="held-out choices are no better than tossing a coin",
        evidence=f"{late}; {history.facts.held_out} rows: chance reaches {number(limit)}",
        cause="labels are swapped or random, the two sides do not differ in what is asked, or it learns too slowly",
        mend="look at pairs with `rlhf data show`; raise training.learning_rate or the number of steps and pairs",
    )


def chance_limit(rows: int) -> float:
    """The accuracy that guessing hardly comes to on so many rows."""
    return 0.5 + SURE * 0.5 / math.sqrt(max(rows, 1))


def _learns(history: History) -> bool:
    """Whether the held-out loss has fallen: it tells margins apart, and so says it sooner than the accuracy."""
    loss = change(history.series("loss", "validation"))
    return loss is not None and loss.falls() and loss.ratio <= -LEAST_FALL
