"""Answers that do not end by themselves."""

from __future__ import annotations

from .finding import Finding
from .history import History, number

LEAST_ROWS = 3
HARDLY_ANY = 0.05
FEW = 0.25
"""Share of the answers that ended at first: where fewer are left, ending has been unlearnt."""
SINCE = 0.3
"""Share of the training after which a policy should know how to end."""


def no_eos(history: History) -> Finding | None:
    finished = history.any_series("finished", "text/finished")
    if not history.facts.answers_end or len(finished) < LEAST_ROWS or history.progress < SINCE:
        return None
    late = finished.latest(LEAST_ROWS)
    if max(late.values) > max(HARDLY_ANY, FEW * finished.values[0]):
        return None
    began, limit = finished.values[0], history.facts.max_new_tokens
    return Finding(
        size=1.0,
        says="hardly any answer ends: they are cut at the length limit",
        evidence=f"{late}, {number(began)} at step {finished.steps[0]}; limit {limit} tokens",
        cause="going on is what the reward or the training texts teach: none of them shows an end within the limit"
        if began > HARDLY_ANY
        else "no training text shows an end within the limit (all are cut), or sampling.max_new_tokens is too small",
        mend="raise data.max_completion_tokens and sampling.max_new_tokens; `rlhf data show` marks the EOS it trains",
    )
