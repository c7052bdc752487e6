"""A held-out loss that rises while training goes on."""

from __future__ import annotations

from .change import change
from .finding import Finding
from .history import History, Series, number

LEAST_ROWS = 4
LATE = 3
"""Latest evaluations that must all be worse than the best: the loss may come back from one or two."""
TINY = 1e-3
"""Nats below which a loss is zero, and shares of it mean nothing."""
RISE = 0.05
"""Share of the best loss by which it may come back."""


def validation_rising(history: History) -> Finding | None:
    loss = history.series("loss", "validation")
    if len(loss) < LEAST_ROWS:
        return None
    best = min(range(len(loss)), key=loss.values.__getitem__)
    late = loss.latest(LATE)
    rise = (min(late.values) - loss.values[best]) / max(abs(loss.values[best]), TINY)
    if best >= len(loss) - LATE or rise < RISE or not _is_learning(history.series("loss", "train"), loss, best):
        return None
    return Finding(
        size=rise,
        says="the held-out loss rises: what is learnt now holds for the training rows alone",
        evidence=f"best {number(loss.values[best])} at step {loss.steps[best]}, now {number(late.values[-1])} at step "
        f"{late.steps[-1]} ({rise:+.0%})",
        cause="too many epochs, or too high a learning rate, for this much data",
        mend="set training.early_stopping, lower training.epochs or training.learning_rate, or add data",
    )


def _is_learning(train: Series, held_out: Series, best: int) -> bool:
    """Whether the training loss has fallen since the evaluation before the best; where it is hardly written, it has.

    Before anything is learnt both go up and down. Where both rise, it is not the training rows that are learnt.
    """
    begun = held_out.steps[max(best - 1, 0)]
    moved = change(train.latest(sum(step > begun for step in train.steps)))
    return moved is None or moved.falls()
