"""A value head that predicts returns no better than their mean does."""

from __future__ import annotations

from .finding import Finding
from .history import History

LEAST_ROWS = 10
USEFUL = 0.05
"""Explained variance below which the head is of no use."""


def dead_value(history: History) -> Finding | None:
    explained = history.series("explained_variance", "train")
    if len(explained) < LEAST_ROWS:
        return None
    late = explained.later_half
    if late.mean > USEFUL:
        return None
    return Finding(
        size=1.0,
        says="the value head explains nothing of the returns: advantages are as noisy as without it",
        evidence=f"{late}; 1 is perfect, 0 is the mean",
        cause="the value head does not learn (its weight in the loss, its learning rate), or it learns too fast",
        mend="set training.learning_rates.value and trainer.value_coef, or trainer.value_model=separate",
    )
