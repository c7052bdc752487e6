"""Length and repetition as scores in [-1, 0], so that a weight says at most how much they can cost."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rlhf_core.contract.reward import Completion, Reward

from .options import RepetitionOptions, WordCountOptions

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


class WordCount(Reward):
    """0 between ``low`` and ``high`` words. Below, −(low − n) / low; above, −(n − high) / n: −1 for no word at all."""

    def __init__(self, options: WordCountOptions) -> None:
        self.options = options

    def score(self, completions: Sequence[Completion]) -> list[float]:
        return [self.of(len(words(completion.text))) for completion in completions]

    def of(self, count: int) -> float:
        low, high = self.options.low, self.options.high
        if count < low:
            return (count - low) / low
        return (high - count) / count if high is not None and count > high else 0.0


class Repetition(Reward):
    """−(share of the n-grams that stood in the text before); 0 for a text that is shorter than one."""

    def __init__(self, options: RepetitionOptions) -> None:
        self.options = options

    def score(self, completions: Sequence[Completion]) -> list[float]:
        return [self.of(words(completion.text)) for completion in completions]

    def of(self, text: Sequence[str]) -> float:
        order = self.options.order
        grams = [tuple(text[start : start + order]) for start in range(len(text) - order + 1)]
        return len(set(grams)) / len(grams) - 1.0 if grams else 0.0


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
