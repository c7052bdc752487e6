"""Texts side by side, paired by prompt, differences marked word by word."""

from __future__ import annotations

import difflib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape

MOST_PAIRS = 200
"""Pairs that a page shows; more are thinned over the whole range of change, both ends included."""
MOST_WORDS = 400
"""Longer texts are cut on the page."""

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class TextPair:
    """Two completions of one prompt, and what was measured on each."""

    prompt: str
    before: str
    after: str
    before_numbers: Numbers = field(default_factory=dict)
    after_numbers: Numbers = field(default_factory=dict)

    def gain(self, name: str) -> float | None:
        """after − before."""
        if name not in self.before_numbers or name not in self.after_numbers:
            return None
        return self.after_numbers[name] - self.before_numbers[name]

    def json(self, names: Sequence[str]) -> str:
        """name → [before, after], for the page's script."""
        numbers = {name: [self.before_numbers.get(name), self.after_numbers.get(name)] for name in names}
        return json.dumps(numbers)

    @property
    def marked(self) -> tuple[Markup, Markup]:
        return mark_changes(_cut(self.before), _cut(self.after))

    @property
    def words(self) -> tuple[int, int]:
        return len(self.before.split()), len(self.after.split())

    @property
    def changed(self) -> float:
        """Share of words that differ: 0 for the same text, 1 for nothing in common."""
        matcher = difflib.SequenceMatcher(None, self.before.split(), self.after.split(), autojunk=False)
        return 1.0 - matcher.ratio()


@dataclass(frozen=True)
class Pairs:
    """What is shown of them.

    Args:
        before, after: names of the two sides.
        shown: largest gain in the first number first.
        total: how many there are.
        numbers: names of what was measured, the one to begin with first.
    """

    before: str
    after: str
    shown: Sequence[TextPair]
    total: int
    numbers: Sequence[str]


def mark_changes(before: str, after: str) -> tuple[Markup, Markup]:
    """Words of ``before`` that ``after`` lacks in ``<del>``, its new ones in ``<ins>``; everything else escaped."""
    old, new = before.split(), after.split()
    left: list[Markup] = []
    right: list[Markup] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for operation, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        same = operation == "equal"
        left += _words(old[old_start:old_end], "" if same else "del")
        right += _words(new[new_start:new_end], "" if same else "ins")
    return Markup(" ").join(left), Markup(" ").join(right)


def training_pairs(samples: Sequence[Mapping[str, Any]]) -> Pairs | None:
    """Each prompt's completions at the first and the last step that were sampled; None where there is one step."""
    steps = sorted({int(row["step"]) for row in samples})
    if len(steps) < 2:
        return None
    first, last = ([row for row in samples if int(row["step"]) == step] for step in (steps[0], steps[-1]))
    pairs = _pair(first, last, key="record_id", numbers=["score"])
    return shown(pairs, before=f"step {steps[0]}", after=f"step {steps[-1]}", numbers=["score"])


def evaluation_pairs(rows: Sequence[Mapping[str, Any]], *, run: str, baseline: str, numbers: Sequence[str]) -> Pairs:
    """The first answer of the baseline and of the run to each prompt of an evaluation."""
    sides = []
    for side in ("baseline", "run"):
        first = {str(row["group"]): row for row in reversed(rows) if row["of"] == side}
        sides.append(list(first.values())[::-1])
    return shown(_pair(*sides, key="group", numbers=numbers), before=baseline, after=run, numbers=numbers)


def shown(pairs: Sequence[TextPair], *, before: str, after: str, numbers: Sequence[str]) -> Pairs:
    measured = [name for name in numbers if any(name in pair.after_numbers for pair in pairs)]
    by_gain = sorted(pairs, key=lambda pair: -((pair.gain(measured[0]) or 0.0) if measured else 0.0))
    return Pairs(before, after, spread(by_gain, MOST_PAIRS), len(pairs), measured)


def spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many, evenly over the whole sequence, first and last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


def _pair(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], *, key: str, numbers: Sequence[str]
) -> list[TextPair]:
    later = defaultdict(list)
    for row in after:
        later[str(row[key])].append(row)
    pairs = []
    for row in before:
        if later[str(row[key])]:
            other = later[str(row[key])].pop(0)
            measured = [
                {name: float(side[name]) for name in numbers if _number(side.get(name))} for side in (row, other)
            ]
            pairs.append(TextPair(str(row["prompt"]), str(row["completion"]), str(other["completion"]), *measured))
    return pairs


def _number(value: object) -> bool:
    return isinstance(value, int | float)


def _words(words: Sequence[str], tag: str) -> list[Markup]:
    if not words:
        return []
    text = escape(" ".join(words))
    return [Markup("<{}>{}</{}>").format(Markup(tag), text, Markup(tag)) if tag else text]


def _cut(text: str) -> str:
    words = text.split()
    return text if len(words) <= MOST_WORDS else " ".join(words[:MOST_WORDS]) + " …"
