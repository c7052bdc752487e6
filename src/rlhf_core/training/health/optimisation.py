"""A score that rises while the text gets worse: over-optimisation of the reward."""

from __future__ import annotations

from collections.abc import Iterator

from .change import Change, change
from .finding import Finding
from .history import History, Series
from .kl import KL_NAMES

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
STRANGE = 0.5
"""Share by which a token costs the reference more than one of its own: text that it would not write."""
FAR, STRANGE_FAR = 0.4, 0.25
"""Nats of KL per token from which half of that is enough; .05 to .25 are usual."""


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
    strange = change(_surprisal(history))
    if strange and strange.rises() and strange.ratio >= (STRANGE if _per_token(history) < FAR else STRANGE_FAR):
        yield strange.ratio / STRANGE, strange


def _per_token(history: History) -> float:
    """KL to the reference, nats per token, over the latest rows."""
    kl, length = (change(history.any_series(*names)) for names in (KL_NAMES, ("length",)))
    return kl.after / length.after if kl and length and length.after > 0 else 0.0


def _surprisal(history: History) -> Series:
    """What a token of the answers costs the reference, in nats: their entropy and their KL to it.

    An answer that is merely one of the reference's better ones costs what its others do, however much narrower the
    policy is than the reference.
    """
    entropy, length, kl = (history.any_series(*names) for names in (("entropy",), ("length",), KL_NAMES))
    steps, values = [], []
    kl_at, length_at = (dict(zip(found.steps, found.values, strict=True)) for found in (kl, length))
    for step, value in zip(entropy.steps, entropy.values, strict=True):
        if step in kl_at and length_at.get(step, 0.0) > 0:
            steps.append(step)
            values.append(value + kl_at[step] / length_at[step])
    return Series("surprisal to the reference", entropy.split, steps, values, [None] * len(steps))
