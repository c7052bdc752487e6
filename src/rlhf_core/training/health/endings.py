"""Answers that do not end by themselves."""

from __future__ import annotations

from .finding import Finding
from .history import History

LEAST_ROWS = 3
HARDLY_ANY = 0.05
SINCE = 0.3
"""Share of the training after which a policy should know how to end."""


def no_eos(history: History) -> Finding | None:
    finished = history.any_series("finished", "text/finished")
    if not history.facts.answers_end or len(finished) < LEAST_ROWS or history.progress < SINCE:
        return None
    late = finished.latest(LEAST_ROWS)
    if max(late.values) > HARDLY_ANY:
        return None
    return Finding(
        size=1.0,
        says="answers do not end: they are cut at the length limit",
        evidence=f"{late}; limit {history.facts.max_new_tokens} tokens",
        cause="no training text shows an end within the limit (all are cut), or sampling.max_new_tokens is too small",
        mend="raise data.max_completion_tokens and sampling.max_new_tokens; `rlhf data show` marks the EOS it trains",
    )
