"""Preferred answers that become less likely than they were."""

from __future__ import annotations

from .change import Change, change
from .finding import Finding
from .history import History

LEAST_FALL = 6.0
"""Nats per answer that a preferred answer may lose: some is lost in every sound DPO."""
PER_TOKEN, SHORTEST = 0.3, 2.0
"""Nats per token that it may lose if it is short, and the nats that any may: .2 per token are lost in sound runs."""
UNPAID_FALL = 1.0
"""Nats that it may lose where nothing is got for it: the rejected answers lose no more."""
PAID = 0.1
"""Share of the fall that the margin must have grown by: in sound runs it is a third or more."""


def chosen_falling(history: History) -> Finding | None:
    held_out = history.series("chosen_logprob_change", "validation")
    fall = change(held_out if len(held_out) > 2 else history.any_series("chosen_logprob_change"))
    rejected = change(history.series("rejected_logprob_change", "validation"))
    if fall is None or not fall.falls() or fall.after > -(UNPAID_FALL if _unpaid(fall, rejected) else _limit(history)):
        return None
    return Finding(
        size=-fall.after,
        says="the preferred answers become less likely: "
        + ("the other side sinks no deeper" if _unpaid(fall, rejected) else "the margin grows because both sides sink"),
        evidence=f"{fall} nats per answer" + (f"; {rejected}" if rejected else ""),
        cause="beta is too small or the learning rate too high for these pairs, or their two sides are nearly the same",
        mend="raise trainer.beta or lower training.learning_rate; train on the chosen answers first (sft)",
    )


def _limit(history: History) -> float:
    """Nats per answer, by the length of the untouched model's answers where it is measured."""
    length = history.series("length", "validation")
    return min(LEAST_FALL, max(SHORTEST, PER_TOKEN * length.values[0])) if length else LEAST_FALL


def _unpaid(fall: Change, rejected: Change | None) -> bool:
    """Whether the held-out margin has grown by next to nothing while the preferred answers sank."""
    return rejected is not None and fall.after - rejected.after < PAID * -fall.after
