"""KL to the reference that grows while the score does not."""

from __future__ import annotations

from .change import change
from .finding import Finding
from .history import History

KL_NAMES = ("kl_exact", "kl_k3", "kl_k1", "kl_k2")
"""The steadiest first: the tail of k3 is heavy, and a few odd tokens make it leap."""
LEAST_KL = 3.0
"""Nats per completion below which a policy has not moved far: with a score near its best it may drift by 2."""
CLEAR_GAIN = 2.0
"""Standard errors from which the score counts as risen: less than is asked of an alarm, in favour of the run."""


def kl_without_reward(history: History) -> Finding | None:
    kl, score = change(history.any_series(*KL_NAMES)), change(history.any_series("score"))
    if kl is None or score is None or not kl.rises() or kl.after < LEAST_KL or score.sigmas >= CLEAR_GAIN:
        return None
    return Finding(
        size=kl.after,
        says="the policy moves away from the reference and the score does not rise for it",
        evidence=f"{kl} nats per completion; {score}, {score.sigmas:+.1f} standard errors",
        cause="the learning rate is too high, the KL is not paid for, or the reward says nothing of the text",
        mend="lower training.learning_rate, raise trainer.kl_coef, and look whether scores of samples differ at all",
    )
