"""Preferred answers that become less likely than they were."""

from __future__ import annotations

from .change import change
from .finding import Finding
from .history import History

LEAST_FALL = 5.0
"""Nats per answer that a preferred answer may lose: some is lost in every sound DPO."""


def chosen_falling(history: History) -> Finding | None:
    held_out = history.series("chosen_logprob_change", "validation")
    fall = change(held_out if len(held_out) > 2 else history.any_series("chosen_logprob_change"))
    if fall is None or not fall.falls() or fall.after > -LEAST_FALL:
        return None
    rejected = change(history.series("rejected_logprob_change", "validation"))
    return Finding(
        size=-fall.after,
        says="the preferred answers become less likely: the margin grows because both sides sink",
        evidence=f"{fall} nats per answer" + (f"; {rejected}" if rejected else ""),
        cause="beta is too small or the learning rate too high for these pairs, or their two sides are nearly the same",
        mend="raise trainer.beta or lower training.learning_rate; train on the chosen answers first (sft)",
    )
