"""Gradients of which nothing is left, or far too much."""

from __future__ import annotations

import math
import statistics

from .finding import Finding
from .history import History, number

LEAST_ROWS = 5
FELT = 100.0
"""Adam divides a gradient by its size plus epsilon: norms below so many epsilons move no weight."""
GROWTH = 5.0
LOSS_GROWTH = 1.5


def gradients_gone(history: History) -> Finding | None:
    norms = history.series("grad_norm", "train").latest(LEAST_ROWS)
    if len(norms) < LEAST_ROWS:
        return None
    limit = math.inf if history.facts.max_grad_norm is None else history.facts.max_grad_norm
    left = min(statistics.median(norms.values), limit)
    if left >= FELT * history.facts.adam_epsilon:
        return None
    clipped = left == limit
    return Finding(
        size=1.0,
        says="no gradient is left: the weights stay where they are",
        evidence=f"{norms}" + (f"; clipped to training.max_grad_norm = {limit:g}" if clipped else "")
        + f"; Adam's epsilon is {history.facts.adam_epsilon:g}",
        cause="training.max_grad_norm is too small" if clipped else "the loss does not depend on the weights any more",
        mend="set training.max_grad_norm to 1" if clipped else "look at scores, advantages and the loss's coefficients",
    )  # fmt: skip


def gradients_exploding(history: History) -> Finding | None:
    norms, loss = history.series("grad_norm", "train"), history.series("loss", "train")
    if len(norms) < LEAST_ROWS or len(loss) < LEAST_ROWS:
        return None
    growth = max(norms.latest(LEAST_ROWS).values) / max(norms.values[0], 1e-12)
    worse = loss.latest(LEAST_ROWS).mean - loss.values[0]
    if growth < GROWTH or worse < (LOSS_GROWTH - 1) * abs(loss.values[0]):
        return None
    return Finding(
        size=growth,
        says="gradients explode and the loss goes up with them",
        evidence=f"grad_norm {number(norms.values[0])} → {number(norms.values[0] * growth)}; loss "
        f"{number(loss.values[0])} → {number(loss.values[0] + worse)} (steps {loss.steps[0]} to {loss.steps[-1]})",
        cause="the learning rate is far too high, and nothing bounds the gradients",
        mend="lower training.learning_rate, set training.max_grad_norm to 1, add training.warmup",
    )
