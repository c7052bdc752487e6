"""Answers that become longer or shorter than they were."""

from __future__ import annotations

from .change import change
from .finding import Finding
from .history import History

DRIFT = 0.25
"""Share of the length by which answers may change unremarked."""
WITH_SCORE = 2.0
"""Standard errors from which the score counts as risen along with it."""


def length_drift(history: History) -> Finding | None:
    length = change(history.any_series("length"))
    if length is None or not (length.rises() or length.falls()) or abs(length.ratio) < DRIFT:
        return None
    score, ends = change(history.any_series("score")), change(history.any_series("finished"))
    paid = score is not None and score.sigmas >= WITH_SCORE
    way = "longer" if length.by > 0 else "shorter"
    also = [str(found) for found in (score, ends) if found is not None]
    return Finding(
        size=abs(length.ratio),
        says=f"answers become {way}" + (", and the score rises with it: the gain may be nothing but length" * paid),
        evidence="; ".join([f"{length} tokens, {length.ratio:+.0%}", *also]),
        cause=_cause(way, paid),
        mend="compare scores at equal length; take length out of the reward, or hold it by a part of the reward",
    )


def _cause(way: str, paid: bool) -> str:
    if not paid:
        return "the loss or the KL term, which are sums over tokens, are cheaper at that length"
    if way == "shorter":
        return "ending early is what the reward pays for; the KL and a penalty for not ending pay for it, too"
    return "the reward grows with the length"
