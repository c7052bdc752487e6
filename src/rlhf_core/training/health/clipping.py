"""Ratios of new to old probability that never, or nearly always, leave the clip range."""

from __future__ import annotations

import statistics

from .finding import Finding
from .history import History, number

LEAST_ROWS = 6
IDLE = 0.002
STANDS = 3e-5
"""Nats per token that a batch moves the policy (``step_kl``, median) below which it learns nothing."""
MOVES = 2e-4
"""From here on the usual range clips some tokens."""
CLIPPED_PER_NAT = 2.0
"""Fewer clipped tokens for each nat per token that a batch moves are those of a range too wide; 4 to 10 are usual."""
HEAVY = 0.33
"""A tenth or two are usual."""


def clip_idle(history: History) -> Finding | None:
    fraction = history.series("clip_fraction", "train")
    if len(fraction) < LEAST_ROWS or fraction.mean > IDLE:
        return None
    moved = history.series("step_kl", "train")
    step = statistics.median(moved.values) if moved else 0.0
    wide = step >= MOVES and fraction.mean < CLIPPED_PER_NAT * step
    if step > STANDS and not wide:
        return None  # the policy moves gently, and has nothing to clip
    return Finding(
        size=1.0,
        says="clipping never acts: an update "
        + ("may take the policy anywhere" if wide else "leaves the policy where it was"),
        evidence=f"{fraction}" + (f"; step_kl {number(step)} nats per token (median)" if moved else ""),
        cause="the clip range is too wide"
        if wide
        else "the learning rate is far too low, there is one update per batch, or the clip range is too wide",
        mend="trainer.clip_range is usually .2" if wide else "raise training.learning_rate or trainer.inner_epochs",
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
