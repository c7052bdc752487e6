"""Gradients of which nothing is left, or far too much."""

from __future__ import annotations

import math
import statistics

from .finding import Finding
from .history import History, Series, number
from .kl import KL_NAMES

LEAST_ROWS = 5
FELT = 100.0
"""Adam divides a gradient by its size plus epsilon: norms below so many epsilons move no weight."""
LASTS, LASTING_LOSS = 5.0, 1.5
"""Times their first values to which the norm, and the mean loss of the latest rows, have grown."""
LEAPS, LEAPING_LOSS = 10.0, 2.0
"""The same of single rows, of which more is asked: one batch may be hard."""
LEAST_LOSS = 0.2
"""Nats by which a loss near zero must have grown."""
UNLEARNS, HELD_OUT_LOSS = 3.0, 1.2
"""Times the first norm, and the held-out loss of the untouched model, where the training loss is no better either."""
STRAYS, FAR = 5.0, 4.0
"""Times the first norm, and nats per token from the reference, where a text is none any more: a loss that compares
two texts may like it."""
TORN = 0.5
"""Nats per token that the updates of one batch move a policy which they destroy; .001 to .05 is usual."""


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
    """Where a trainer writes ``policy_loss``, that is looked at: the value loss beside it grows with the scores."""
    norms = history.series("grad_norm", "train")
    loss = history.series("policy_loss", "train") or history.series("loss", "train")
    torn = max(history.series("step_kl", "train").latest(LEAST_ROWS).values, default=0.0)
    if torn >= TORN:
        return _exploding(torn / TORN, f"step_kl {number(torn)} nats per token within a batch")
    if len(norms) < LEAST_ROWS or len(loss) < LEAST_ROWS:
        return None
    growth = max(norms.values) / max(norms.values[0], 1e-12)
    worse = _worse(loss, norms) or _unlearnt(history, loss, growth) or _far(history, growth)
    if worse is None:
        return None
    return _exploding(growth, f"grad_norm {number(norms.values[0])} → {number(max(norms.values))}; {worse}")


def _worse(loss: Series, norms: Series) -> str | None:
    """The training loss, if it has grown with the norm: over the latest rows, or in one of them."""
    start, late = loss.values[0], loss.latest(LEAST_ROWS)
    growth = max(norms.latest(LEAST_ROWS).values) / max(norms.values[0], 1e-12)
    for least, times, now in ((LASTS, LASTING_LOSS, late.mean), (LEAPS, LEAPING_LOSS, max(late.values))):
        if growth >= least and now - start >= max((times - 1) * abs(start), LEAST_LOSS):
            return f"{loss.name} {number(start)} → {number(now)} (steps {loss.steps[0]} to {loss.steps[-1]})"
    return None


def _unlearnt(history: History, loss: Series, growth: float) -> str | None:
    """The held-out loss, if that of the untouched model was better, and nothing is learnt by heart for it."""
    held_out = history.series("loss", "validation")
    if len(held_out) < 2 or growth < UNLEARNS or loss.latest(LEAST_ROWS).mean < loss.values[0]:
        return None
    start, now = held_out.values[0], held_out.values[-1]
    if held_out.steps[0] > 0 or now - start < max((HELD_OUT_LOSS - 1) * abs(start), LEAST_LOSS / 2):
        return None
    return f"held-out loss {number(start)} → {number(now)} (steps 0 to {held_out.steps[-1]})"


def _far(history: History, growth: float) -> str | None:
    kl, length = history.any_series(*KL_NAMES), history.any_series("length")
    if not kl or not length or growth < STRAYS:
        return None
    far = kl.values[-1] / max(length.values[-1], 1.0)
    return f"{kl.name} {number(far)} nats per token at step {kl.steps[-1]}" if far >= FAR else None


def _exploding(size: float, evidence: str) -> Finding:
    return Finding(
        size=size,
        says="gradients explode: the updates undo what was learnt",
        evidence=evidence,
        cause="the learning rate is far too high, and nothing bounds the gradients",
        mend="lower training.learning_rate, set training.max_grad_norm to 1, add training.warmup",
    )
