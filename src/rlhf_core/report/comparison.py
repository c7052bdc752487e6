"""Before and after, side by side: the same held-out prompts at the first and the last sampling."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape


@dataclass(frozen=True)
class SamplePair:
    """``gain`` is after − before in reward units; None without scores."""

    prompt: str
    before: str
    after: Markup
    before_score: float | None
    after_score: float | None

    @property
    def gain(self) -> float | None:
        if self.before_score is None or self.after_score is None:
            return None
        return self.after_score - self.before_score


def mark_changes(before: str, after: str) -> Markup:
    """``after`` with the words that ``before`` lacks wrapped in ``<mark>``; everything else escaped."""
    old, new = before.split(), after.split()
    parts: list[Markup] = []
    for operation, _, _, start, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        words = " ".join(new[start:end])
        if words:
            parts.append(escape(words) if operation == "equal" else Markup("<mark>{}</mark>").format(words))
    return Markup(" ").join(parts)


def pair_samples(samples: Sequence[Mapping[str, Any]]) -> list[SamplePair]:
    """Pairs of each prompt's completions at the first and the last step that were sampled, largest gain first."""
    steps = sorted({int(row["step"]) for row in samples})
    if len(steps) < 2:
        return []
    at = {step: _by_prompt(samples, step) for step in (steps[0], steps[-1])}
    pairs = []
    for key, before_rows in at[steps[0]].items():
        for before, after in zip(before_rows, at[steps[-1]].get(key, []), strict=False):
            pairs.append(
                SamplePair(
                    prompt=before["prompt"],
                    before=before["completion"],
                    after=mark_changes(before["completion"], after["completion"]),
                    before_score=before.get("score"),
                    after_score=after.get("score"),
                )
            )
    return sorted(pairs, key=lambda pair: -(pair.gain if pair.gain is not None else 0.0))


def _by_prompt(samples: Sequence[Mapping[str, Any]], step: int) -> dict[str, list[Mapping[str, Any]]]:
    rows = defaultdict(list)
    for row in samples:
        if int(row["step"]) == step:
            rows[str(row["record_id"])].append(row)
    return rows
