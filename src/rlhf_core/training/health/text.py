"""How the answers to the held-out prompts read, as metrics of the validation rows: ``text/NAME`` and its error."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence, Set

from ...contract.records import Demonstration, Labelled, Preference, Record, Text
from ...math.text import immediate_repeats, repeated_ngrams, separators, unknown_words, word_length, words

PREFIX = "text/"
_REPEAT_ORDER = 4

_MEASURES: Mapping[str, Callable[[str], float | None]] = {
    "words": lambda text: float(len(words(text))),
    "separators": separators,
    "immediate-repeats": lambda text: immediate_repeats(words(text)),
    "repeated-4-grams": lambda text: repeated_ngrams(words(text), _REPEAT_ORDER),
    "word-length": lambda text: word_length(words(text)),
}


def text_health(answers: Sequence[tuple[str, bool]], known: Set[str] = frozenset()) -> dict[str, float]:
    """Means over answers, with their standard errors as ``text/NAME_se``.

    Args:
        answers: text, and whether it ended by itself.
        known: the words of the training texts; without any, nothing is said of unknown words.
    """
    texts = [text for text, _ in answers]
    measured: dict[str, list[float | None]] = {name: [of(text) for text in texts] for name, of in _MEASURES.items()}
    measured["finished"] = [float(finished) for _, finished in answers]
    if known:
        measured["unknown-words"] = [unknown_words(words(text), known) for text in texts]
    return {key: value for name, values in measured.items() for key, value in _mean(PREFIX + name, values).items()}


def words_taught(records: Iterable[Record]) -> frozenset[str]:
    """Every word of the texts that records show as answers; of bare prompts none, since they show no answer.

    A record that made several rows may be given several times.
    """
    once = {id(record): record for record in records}.values()
    return frozenset(word for record in once for text in _texts(record) for word in words(text))


def _texts(record: Record) -> tuple[str, ...]:
    match record:
        case Demonstration():
            return (record.completion,)
        case Preference():
            return record.chosen, record.rejected
        case Text() | Labelled():
            return (record.text,)
    return ()


def _mean(name: str, values: Sequence[float | None]) -> dict[str, float]:
    found = [value for value in values if value is not None]
    if not found:
        return {}
    mean = {name: statistics.fmean(found)}
    return mean if len(found) < 2 else {**mean, f"{name}_se": statistics.stdev(found) / math.sqrt(len(found))}
