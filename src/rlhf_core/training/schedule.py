"""The learning rate over a training, as a share of its peak."""

from __future__ import annotations

import math

from .options import Schedule


def learning_rate_factor(kind: Schedule, progress: float, warmup: float, *, floor: float = 0.0) -> float:
    """Linear rise over the share ``warmup``, then constant, or down to ``floor`` by a line or half a cosine wave.

    Args:
        progress: share of the planned batches that is consumed, in [0, 1]. Batches and not optimizer steps are counted:
            a trainer may drop the rest of a batch, so the number of steps is not known beforehand.
    Returns: in [0, 1].
    """
    if progress < warmup:
        return progress / warmup
    if kind == "constant":
        return 1.0
    decayed = (progress - warmup) / (1.0 - warmup)
    left = 1.0 - decayed if kind == "linear" else 0.5 * (1.0 + math.cos(math.pi * decayed))
    return floor + (1.0 - floor) * left


def batch_factor(kind: Schedule, batch: int, batches: int, warmup: float, *, floor: float = 0.0) -> float:
    """Factor of a batch (0-based), taken in its middle: neither the first nor the last one is wasted on a zero."""
    return learning_rate_factor(kind, (batch + 0.5) / batches, warmup, floor=floor)
