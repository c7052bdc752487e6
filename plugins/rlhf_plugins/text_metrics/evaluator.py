"""Metrics that read the text alone.

Distinct-n: Li et al. 2016, "A Diversity-Promoting Objective Function". The others are what moves first when a policy
learns to please its reward instead of its reader: repetition, separators, unknown words, completions that never end.
Each is a function of ``math/text.py``, which has its formula; docs/metrics.md says where it is valid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import partial

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Need
from rlhf_core.contract.reward import Completion
from rlhf_core.math.text import (
    compression,
    immediate_repeats,
    longest_repeat,
    ngrams,
    repeated_ngrams,
    separators,
    unknown_words,
    word_entropy,
    words,
)

from .options import TextOptions

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
            "longest-repeat": [longest_repeat(text) for text in texts],
            "compression": [compression(completion.text) for completion in completions],
            "word-entropy": [word_entropy(text) for text in texts],
            "separators": [separators(completion.text) for completion in completions],
        }
        notes = [
            "distinct-n falls with the number of words: compare equal numbers of completions",
            "compression and word-entropy rise with length: compare them where words are alike",
        ]
        if self.options.vocabulary and context.train_texts is not None:
            known = {word for text in context.train_texts for word in words(text)}
            scores["unknown-words"] = [unknown_words(text, known) for text in texts]
        elif self.options.vocabulary:
            notes.append("unknown-words is left out: the run's training texts are not at hand")
        return Evaluation(
            scores=scores,
            shares={"finished"},
            corpus=corpus_metrics(texts, range(len(texts))),
            recompute=partial(corpus_metrics, texts),
            notes=notes,
            better={
                "finished": "higher",
                "repeated-4-grams": "lower",
                "immediate-repeats": "lower",
                "longest-repeat": "lower",
                "distinct-1": "higher",
                "distinct-2": "higher",
            },
        )


def corpus_metrics(texts: Sequence[Sequence[str]], which: Sequence[int]) -> Mapping[str, float]:
    """Different n-grams over all n-grams of the chosen texts together; left out where there is no n-gram."""
    found = {}
    for order in (1, 2):
        grams = [gram for index in which for gram in ngrams(texts[index], order)]
        if grams:
            found[f"distinct-{order}"] = len(set(grams)) / len(grams)
    return found
