"""Ratios of new to old probability that never, or nearly always, leave the clip range."""

from __future__ import annotations

from .finding import Finding
from .history import History

LEAST_ROWS = 6
IDLE = 0.002
HEAVY = 0.33
"""A tenth or two are usual."""


def clip_idle(history: History) -> Finding | None:
    fraction = history.series("clip_fraction", "train")
    if len(fraction) < LEAST_ROWS or fraction.mean > IDLE:
        return None
    return Finding(
        size=1.0,
        says="clipping never acts: an update leaves the policy where it was, or may take it anywhere",
        evidence=f"{fraction}",
        cause="the learning rate is far too low, there is one update per batch, or the clip range is too wide",
        mend="raise training.learning_rate or trainer.inner_epochs; trainer.clip_range is usually .2",
    )


def clip_heavy(history: History) -> Finding | None:
    fraction = history.series("clip_fraction", "train")
    if len(fraction) < LEAST_ROWS or fraction.later_half.mean <= HEAVY:
        return None
    late = fraction.later_half
    return Finding(
        size=late.mean,
        says="most tokens are clipped: the updates of a batch are cut off before they are through with it",
        evidence=f"{late}",
        cause="the learning rate is too high or the inner epochs too many for this batch, or the clip range too narrow",
        mend="lower training.learning_rate or trainer.inner_epochs; trainer.clip_range is usually .2",
    )
