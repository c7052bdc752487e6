"""A reward in one method."""

from __future__ import annotations

from collections.abc import Sequence

from rlhf_core import Completion, Reward

from .options import VarietyOptions


class Variety(Reward):
    def __init__(self, options: VarietyOptions) -> None:
        self.options = options

    def score(self, completions: Sequence[Completion]) -> list[float]:
        texts = [completion.text.lower().split() for completion in completions]
        return [len(set(words)) / len(words) if len(words) >= self.options.min_words else 0.0 for words in texts]
