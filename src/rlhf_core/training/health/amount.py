"""So few records for so many epochs that they are learnt by heart."""

from __future__ import annotations

from .finding import Finding
from .history import History

MANY_EPOCHS = 10
FEW_ROWS = 500
TOO_MANY_EPOCHS = 30
HANDFUL = 50
A_FEW_EPOCHS = 5
"""A handful of rows is learnt by heart in a few epochs."""


def few_data(history: History) -> Finding | None:
    facts = history.facts
    heart = (
        facts.epochs >= TOO_MANY_EPOCHS
        or (facts.epochs >= MANY_EPOCHS and facts.rows < FEW_ROWS)
        or (facts.epochs >= A_FEW_EPOCHS and facts.rows < HANDFUL)
    )
    if not (facts.shows_answers and heart):
        return None
    return Finding(
        size=1.0,
        says="the data is too small for so many epochs: it will be learnt by heart",
        evidence=f"{facts.rows} rows, each seen {facts.epochs:.3g} times",
        cause="training.epochs or training.steps were set for a larger set",
        mend="lower training.epochs, add data, and stop early on held-out data (training.early_stopping)",
    )
