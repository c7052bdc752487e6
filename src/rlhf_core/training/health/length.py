"""Answers that become longer or shorter than they were."""

from __future__ import annotations

from .change import Change, change
from .finding import Finding
from .history import History

DRIFT = 0.3
"""Share of the length by which answers may change unremarked."""
AT_LIMIT = 0.9
"""Share of the length limit from which answers cannot become much longer: they cease to end instead."""
CUT_DRIFT, CUT = 0.1, 0.5
"""Share of the length, there, and of the endings that are lost."""
WITH_SCORE = 2.0
"""Standard errors from which the score counts as risen along with it."""


def length_drift(history: History) -> Finding | None:
    length = change(history.any_series("length"))
    score, ends = change(history.any_series("score")), change(history.any_series("finished"))
    if length is None or not (length.rises() or length.falls()):
        return None
    if abs(length.ratio) < DRIFT and not _is_cut(length, ends, history.facts.max_new_tokens):
        return None
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


def _is_cut(length: Change, ends: Change | None, limit: int) -> bool:
    """Whether answers would be longer than they may be: they come to the limit, where they ended by themselves."""
    at_limit = length.ratio >= CUT_DRIFT and length.after >= AT_LIMIT * limit > 0
    return at_limit and ends is not None and ends.falls() and ends.after <= CUT * ends.before


def _cause(way: str, paid: bool) -> str:
    if not paid:
        return "the loss or the KL term, which are sums over tokens, are cheaper at that length"
    if way == "shorter":
        return "ending early is what the reward pays for; the KL and a penalty for not ending pay for it, too"
    return "the reward grows with the length"
