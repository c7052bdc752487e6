"""A score that rises while the text gets worse: over-optimisation of the reward."""

from __future__ import annotations

from collections.abc import Iterator

from .change import Change, change
from .finding import Finding
from .history import History

LIMITS = {
    "text/separators": 0.05,
    "text/immediate-repeats": 0.05,
    "text/repeated-4-grams": 0.1,
    "text/unknown-words": 0.1,
}
"""Rises of shares from which readers notice."""
WORD_LENGTH = 0.25
"""Share by which words become longer (pieces run together) or shorter (fragments)."""
ENTROPY = 0.5
"""Share of the entropy per token that is lost, or added."""


def over_optimisation(history: History) -> Finding | None:
    score = change(history.any_series("score"))
    if score is None or not score.rises():
        return None
    moved = sorted(_moved(history), key=lambda found: -found[0])
    if not moved:
        return None
    worst, names = moved[0][0], ", ".join(found.name.removeprefix("text/") for _, found in moved)
    return Finding(
        size=worst,
        says=f"the score rises while the text changes in ways that readers do not reward ({names})",
        evidence="; ".join(map(str, [score, *(found for _, found in moved)])),
        cause="the reward pays for something else than good text, and the policy has found it",
        mend="read the samples, raise trainer.kl_coef or take an earlier checkpoint, and mend the reward",
    )


def _moved(history: History) -> Iterator[tuple[float, Change]]:
    """What moved more than it may, each with how much more."""
    for name, limit in LIMITS.items():
        found = change(history.series(name, "validation"))
        if found and found.rises() and found.by >= limit:
            yield found.by / limit, found
    length = change(history.series("text/word-length", "validation"))
    entropy = change(history.any_series("entropy"))
    for found, limit in ((length, WORD_LENGTH), (entropy, ENTROPY)):
        if found and (found.rises() or found.falls()) and abs(found.ratio) >= limit:
            yield abs(found.ratio) / limit, found
