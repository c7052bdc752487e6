"""A held-out loss that rises while training goes on."""

from __future__ import annotations

import math

from .accuracy import chance_limit
from .change import change
from .finding import Finding
from .history import History, Series, number

LEAST_ROWS = 3
RISES = {1: 0.5, 2: 0.15, 3: 0.05}
"""Share of the best loss by which so many latest evaluations must all be worse than it: it may come back from one or
two, if they are not much worse."""
ONLY_SURER = 4.0
"""Times as much is asked where the held-out accuracy holds what it had learnt: it is confidence that grows."""
LEARNT = 0.05
"""Share by which the training loss must have fallen meanwhile."""
OF_START = 0.02
"""Share of the first loss that a rise must come to: next to no loss may double without meaning."""


def validation_rising(history: History) -> Finding | None:
    loss = history.series("loss", "validation")
    if len(loss) < LEAST_ROWS:
        return None
    best = min(range(len(loss)), key=loss.values.__getitem__)
    factor = ONLY_SURER if _still_tells(history, loss.steps[best]) else 1.0
    rises = {count: _rise(loss, best, count) for count in RISES}
    rise = max((found for count, found in rises.items() if found >= factor * RISES[count]), default=0.0)
    if not rise or not _is_learning(history.series("loss", "train"), loss, best):
        return None
    late = loss.latest(1)
    return Finding(
        size=rise,
        says="the held-out loss rises: what is learnt now holds for the training rows alone",
        evidence=f"best {number(loss.values[best])} at step {loss.steps[best]}, now {number(late.values[-1])} at step "
        f"{late.steps[-1]} ({rise:+.0%})",
        cause="too many epochs, or too high a learning rate, for this much data",
        mend="set training.early_stopping, lower training.epochs or training.learning_rate, or add data",
    )


def _rise(loss: Series, best: int, count: int) -> float:
    """Share of the best loss by which so many latest ones are worse; 0 where it is one of them, or next to nothing."""
    by, least = min(loss.latest(count).values) - loss.values[best], OF_START * abs(loss.values[0])
    return by / max(abs(loss.values[best]), least) if by > least > 0 else 0.0


def _still_tells(history: History, best: int) -> bool:
    """Whether the accuracy at that step was above chance, and is no lower now, within its standard error."""
    accuracy = history.series("accuracy", "validation")
    then = next((value for step, value in zip(accuracy.steps, accuracy.values, strict=True) if step == best), 0.0)
    error = math.sqrt(then * (1 - then) / max(history.facts.held_out, 1))
    return then > chance_limit(history.facts.held_out) and accuracy.latest(LEAST_ROWS).mean >= then - error


def _is_learning(train: Series, held_out: Series, best: int) -> bool:
    """Whether the training loss has fallen since the evaluation before the best; where it is hardly written, it has.

    Before anything is learnt both go up and down. Where both rise, it is not the training rows that are learnt.
    """
    begun = held_out.steps[max(best - 1, 0)]
    moved = change(train.latest(sum(step > begun for step in train.steps)))
    return moved is None or (moved.falls() and moved.ratio <= -LEARNT)
