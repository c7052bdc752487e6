"""What is seen of a text without a model: words, repetition, separators, unknown words. None where not defined."""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence, Set
from itertools import pairwise

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words(text: str) -> list[str]:
    """Lower-cased runs of letters and digits; an apostrophe inside a word belongs to it."""
    return _WORD.findall(text.lower())


def word_spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each word, in characters of the text."""
    return [match.span() for match in _WORD.finditer(text)]


def ngrams(text: Sequence[str], order: int) -> list[tuple[str, ...]]:
    return [tuple(text[start : start + order]) for start in range(len(text) - order + 1)]


def repeated_ngrams(text: Sequence[str], order: int) -> float | None:
    """Share of the n-grams that occurred before in the same text; None when it is shorter than one n-gram."""
    grams = ngrams(text, order)
    return 1.0 - len(set(grams)) / len(grams) if grams else None


def immediate_repeats(text: Sequence[str]) -> float | None:
    """Share of the words, from the second on, that repeat the word before; None for fewer than two words."""
    if len(text) < 2:
        return None
    return sum(first == second for first, second in pairwise(text)) / (len(text) - 1)


def longest_repeat(text: Sequence[str]) -> float | None:
    """Words of the longest n-gram that occurs twice in the text (the two may overlap); 0 where no word does."""
    if not text:
        return None
    suffixes = sorted(list(text[start:]) for start in range(len(text)))
    # Two suffixes that share the longest beginning are neighbours when sorted.
    return float(max((_shared_beginning(*pair) for pair in pairwise(suffixes)), default=0))


def _shared_beginning(first: Sequence[str], second: Sequence[str]) -> int:
    for length, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return length
    return min(len(first), len(second))


def compression(text: str) -> float | None:
    """UTF-8 bytes over their number after zlib (level 9); None for no text.

    Radford et al. 2022 ("Robust Speech Recognition via Large-Scale Weak Supervision") take more than 2.4 as a loop.
    Zlib adds about eleven bytes of its own: texts of a line or two lie near or below 1 whatever they say.
    """
    written = text.encode()
    return len(written) / len(zlib.compress(written, 9)) if written else None


def word_entropy(text: Sequence[str]) -> float | None:
    """−Σ p log p over the words' shares in the text, in nats: at most log of their number; None for no word."""
    if not text:
        return None
    return math.fsum(count / len(text) * math.log(len(text) / count) for count in Counter(text).values())


def separators(text: str) -> float | None:
    """Share of punctuation, symbols and line breaks among the characters that are not spaces; None for no text."""
    marks = [character for character in text if character == "\n" or not character.isspace()]
    if not marks:
        return None
    return sum(character == "\n" or unicodedata.category(character)[0] in "PS" for character in marks) / len(marks)


def unknown_words(text: Sequence[str], known: Set[str]) -> float | None:
    """Share of the words that are not in ``known``; None for no word."""
    return sum(word not in known for word in text) / len(text) if text else None


def word_length(text: Sequence[str]) -> float | None:
    """Mean characters per word; None for no word. Pieces of words run together are long, fragments short."""
    return sum(map(len, text)) / len(text) if text else None
