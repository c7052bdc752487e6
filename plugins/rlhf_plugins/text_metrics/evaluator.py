"""Metrics that read the text alone.

Distinct-n: Li et al. 2016, "A Diversity-Promoting Objective Function". The others are what moves first when a policy
learns to please its reward instead of its reader: repetition, separators, unknown words, completions that never end.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence, Set
from functools import partial
from itertools import pairwise

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Need
from rlhf_core.contract.reward import Completion

from .options import TextOptions

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_REPEAT_ORDER = 4


class TextMetrics:
    def __init__(self, options: TextOptions) -> None:
        self.options = options
        self.needs: Set[Need] = frozenset({"train_set"} if options.vocabulary else ())

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        texts = [words(completion.text) for completion in completions]
        scores: dict[str, Sequence[float | None]] = {
            "words": [float(len(text)) for text in texts],
            "finished": [float(completion.finished) for completion in completions],
            "repeated-4-grams": [repeated_ngrams(text, _REPEAT_ORDER) for text in texts],
            "immediate-repeats": [immediate_repeats(text) for text in texts],
            "separators": [separators(completion.text) for completion in completions],
        }
        notes = ["distinct-n falls with the number of words: compare equal numbers of completions"]
        if self.options.vocabulary and context.train_texts is not None:
            known = {word for text in context.train_texts for word in words(text)}
            scores["unknown-words"] = [unknown_words(text, known) for text in texts]
        elif self.options.vocabulary:
            notes.append("unknown-words is left out: the run's training texts are not at hand")
        return Evaluation(
            scores=scores,
            corpus=corpus_metrics(texts, range(len(texts))),
            recompute=partial(corpus_metrics, texts),
            notes=notes,
            better={
                "finished": "higher",
                "repeated-4-grams": "lower",
                "immediate-repeats": "lower",
                "distinct-1": "higher",
                "distinct-2": "higher",
            },
        )


def words(text: str) -> list[str]:
    """Lower-cased runs of letters and digits; an apostrophe inside a word belongs to it."""
    return _WORD.findall(text.lower())


def ngrams(text: Sequence[str], order: int) -> list[tuple[str, ...]]:
    return [tuple(text[start : start + order]) for start in range(len(text) - order + 1)]


def corpus_metrics(texts: Sequence[Sequence[str]], which: Sequence[int]) -> Mapping[str, float]:
    """Different n-grams over all n-grams of the chosen texts together; left out where there is no n-gram."""
    found = {}
    for order in (1, 2):
        grams = [gram for index in which for gram in ngrams(texts[index], order)]
        if grams:
            found[f"distinct-{order}"] = len(set(grams)) / len(grams)
    return found


def repeated_ngrams(text: Sequence[str], order: int) -> float | None:
    """Share of the n-grams that occurred before in the same text; None when it is shorter than one n-gram."""
    grams = ngrams(text, order)
    return 1.0 - len(set(grams)) / len(grams) if grams else None


def immediate_repeats(text: Sequence[str]) -> float | None:
    """Share of the words, from the second on, that repeat the word before; None for fewer than two words."""
    if len(text) < 2:
        return None
    return sum(first == second for first, second in pairwise(text)) / (len(text) - 1)


def separators(text: str) -> float | None:
    """Share of punctuation, symbols and line breaks among the characters that are not spaces; None for no text."""
    marks = [character for character in text if character == "\n" or not character.isspace()]
    if not marks:
        return None
    return sum(character == "\n" or unicodedata.category(character)[0] in "PS" for character in marks) / len(marks)


def unknown_words(text: Sequence[str], known: Set[str]) -> float | None:
    """Share of the words that are not in ``known``; None for no word."""
    return sum(word not in known for word in text) / len(text) if text else None
