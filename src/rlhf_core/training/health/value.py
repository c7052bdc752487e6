"""A value head that predicts returns no better than their mean does."""

from __future__ import annotations

import statistics

from .finding import Finding
from .history import History, Series

LEAST_ROWS = 10
USEFUL = 0.05
"""Explained variance below which the head is of no use."""
STILL = 0.005
"""Explained variance that stays within ± this is that of a head which says the same of every text."""
HARMFUL = -0.1
"""Explained variance below which advantages are noisier with the head than without it."""
LEARNT = 0.5
"""Share of its first loss to which a head comes that has found no more than the mean of the returns."""
FOUND = 0.1
"""Share of its first loss from which what is left of the returns is noise: no head explains it."""
ONCE, NOW = 0.2, 0.01
"""Explained variance that a head had, and within ± of which it stays, that has forgotten what it knew."""
PATIENCE = 40
"""Rows that a head which moves may take: it begins late, and then learns within a few."""


def dead_value(history: History) -> Finding | None:
    explained = history.series("explained_variance", "train")
    if len(explained) < LEAST_ROWS or explained.later_half.mean > USEFUL:
        return None
    late, loss = explained.later_half, history.series("value_loss", "train")
    stands = _is_still(explained) and not _falls_to(LEARNT, loss)
    harms = statistics.median(late.values) < HARMFUL and not _falls_to(FOUND, loss)
    forgot = max(explained.values) >= ONCE and max(map(abs, late.values)) <= NOW
    if len(explained) < PATIENCE and not stands and not harms and not forgot:
        return None
    return Finding(
        size=1.0,
        says="the value head explains nothing of the returns: advantages are as noisy as without it",
        evidence=f"{late}; 1 is perfect, 0 is the mean" + (f"; {loss.later_half}" if loss else ""),
        cause="the value head does not learn (its weight in the loss, its learning rate), or it learns too fast",
        mend="set training.learning_rates.value and trainer.value_coef, or trainer.value_model=separate",
    )


def _falls_to(share: float, loss: Series) -> bool:
    """Whether its loss has come down to that share of the first, if only because it found the mean."""
    return bool(loss) and loss.later_half.mean <= share * loss.values[0]


def _is_still(explained: Series) -> bool:
    return max(map(abs, explained.values)) <= STILL
