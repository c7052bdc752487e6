"""Whether a line reads like a sentence: its word classes in an order that hand-written lines have.

A trigram model over word classes (not words), counted on the hand-written lines and phrases of train and validation
words. The score is the mean log ratio of a class given the two before it to the class alone: how much better the order
is than no order. The bound was set once, on train and validation lines scored by a model that had not counted them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import Final

from .resources import entries, records, words_of
from .vocabulary import known_words
from .wordclasses import VERBS, class_of

CALIBRATION: Final = ("train", "validation")
BOUND: Final = -0.27
"""Mean log ratio (nats per token) that 19 of 20 hand-written lines reach under a model that has not counted them."""
LENGTH: Final = (4, 24)
"""Words of a line, at least and at most."""
PAIR_PRIOR, TRIPLE_PRIOR = 10.0, 20.0
"""Pseudo-counts with which the shorter context backs up the longer one."""

_TOKEN = re.compile(r"[a-z']+|[,.?!:]")
_START = ("START", "START")


class ClassOrder:
    """Counts of word classes in a row."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.single, self.pair, self.triple = Counter[str](), Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
        self.before_pair, self.before_triple = Counter[str](), Counter[tuple[str, ...]]()
        for line in lines:
            classes = (*_START, *_classes(line))
            for a, b, c in zip(classes, classes[1:], classes[2:], strict=False):
                self.single[c] += 1
                self.pair[b, c] += 1
                self.triple[a, b, c] += 1
                self.before_pair[b] += 1
                self.before_triple[a, b] += 1
        self._total = sum(self.single.values())

    def score(self, line: str) -> float:
        """Mean over the line's tokens of log p(class | two before) − log p(class), in nats."""
        classes = (*_START, *_classes(line))
        ratios = [self._log_ratio(a, b, c) for a, b, c in zip(classes, classes[1:], classes[2:], strict=False)]
        return math.fsum(ratios) / len(ratios) if ratios else -math.inf

    def _log_ratio(self, a: str, b: str, c: str) -> float:
        alone = (self.single[c] + 0.5) / (self._total + 0.5 * len(self.single))
        after_one = (self.pair[b, c] + PAIR_PRIOR * alone) / (self.before_pair[b] + PAIR_PRIOR)
        after_two = (self.triple[a, b, c] + TRIPLE_PRIOR * after_one) / (self.before_triple[a, b] + TRIPLE_PRIOR)
        return math.log(after_two / alone)


def is_fluent(line: str) -> bool:
    """One line of 4 to 24 known words that ends like a sentence, stutters nowhere, has a verb and a usual order."""
    words = words_of(line)
    return (
        "\n" not in line.strip()
        and line.strip().endswith((".", "?", "!"))
        and LENGTH[0] <= len(words) <= LENGTH[1]
        and not any(a == b for a, b in pairwise(words))
        and known_words().issuperset(words)
        and any(class_of(word) in VERBS for word in words)
        and class_order().score(line) >= BOUND
    )


@cache
def class_order() -> ClassOrder:
    return ClassOrder([*hand_lines(CALIBRATION), *phrase_lines(CALIBRATION)])


def hand_lines(splits: Sequence[str]) -> list[str]:
    return [line for r in records() if r.split in splits for line in (r.pun, r.plain, r.unrelated)]


def phrase_lines(splits: Sequence[str]) -> list[str]:
    """The phrases of the lexicon as the shortest sentences they make."""
    lines = []
    for entry in entries():
        if entry.split in splits:
            subjects = [f"the {topic.split(' ', 1)[1]}" for topic in entry.topics]
            lines += [f"{subject} {did}." for subject in subjects for did in (*entry.punches, *entry.plain)]
            lines += [f"the man {did}." for did in entry.unrelated]
    return lines


def _classes(line: str) -> list[str]:
    return [class_of(token) if token[0].isalpha() else token for token in _TOKEN.findall(line.lower())]
