"""A simple pun reward for prompts around the lexicon's words.

It reads the generator's punches (``words.jsonl``); the metric ``puns`` has lists of its own and another fluency check.
The two still agree on much by nature. A run that trains on this reward reports the metric as a neighbour of its target,
not as an independent one: the recipes whose figures are shown train on the reward model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from rlhf_core.contract.reward import Completion, Reward, Scores

from .options import PunRewardOptions
from .resources import PROMPT, Entry, entries, words_of

WINDOW: Final = 4
"""An idiom's words count within so many words of the pun word."""
LENGTH: Final = (5, 20)
PARTS: Final = ("word", "topic", "idiom", "length", "repetition")

_LIGHT: Final = frozenset(
    words_of(
        "a an the and or but so to of in on at for with from by as it its is are was were be been he she they that this"
        " i my you we not no had has have did do could would about who when because than then very"
    )
)


class PunReward(Reward):
    """The weighted mean of five parts, each in [0, 1].

    The pun word is the record's ``pun_word``. A prompt without one is scored by the lexicon word of the line that
    scores best; a line without any gets nothing for ``word`` and ``idiom``.
    """

    def __init__(self, options: PunRewardOptions) -> None:
        self._weights = {part: getattr(options, part) for part in PARTS}

    def score(self, completions: Sequence[Completion]) -> Scores:
        rows = [self._parts(completion) for completion in completions]
        parts = {part: [row[part] for row in rows] for part in PARTS}
        return Scores([self._mean(row) for row in rows], parts)

    def _parts(self, completion: Completion) -> Mapping[str, float]:
        words = words_of(completion.text)
        named = completion.record.get("pun_word")
        choices = [named] if isinstance(named, str) and named in _lexicon() else sorted(_lexicon().keys() & set(words))
        common = {
            "topic": _topic(words, completion.prompt),
            "length": _length(words, completion.text),
            "repetition": _no_repetition(words),
        }
        rated = [{"word": float(words.count(w) == 1), "idiom": _idiom(words, _lexicon()[w]), **common} for w in choices]
        return max(rated, key=self._mean, default={"word": 0.0, "idiom": 0.0, **common})

    def _mean(self, parts: Mapping[str, float]) -> float:
        total = sum(self._weights.values())
        return sum(self._weights[part] * parts[part] for part in PARTS) / total if total else 0.0


@cache
def _lexicon() -> Mapping[str, Entry]:
    return {entry.word: entry for entry in entries()}


def _topic(words: Sequence[str], prompt: str) -> float:
    asked = set(words_of(prompt.removeprefix(PROMPT.format(topic="")))) - _LIGHT
    return float(not asked.isdisjoint(words))


def _idiom(words: Sequence[str], entry: Entry) -> float:
    """The best share of an idiom's other words within ``WINDOW`` of the pun word."""
    if entry.word not in words:
        return 0.0
    at = words.index(entry.word)
    near = set(words[max(0, at - WINDOW) : at + WINDOW + 1])
    return max(_share(near, set(words_of(punch)) - {entry.word}) for punch in entry.punches)


def _share(near: set[str], idiom: set[str]) -> float:
    wanted = idiom - _LIGHT or idiom  # "was on a roll" has light words only
    return len(wanted & near) / len(wanted)


def _length(words: Sequence[str], text: str) -> float:
    return float(LENGTH[0] <= len(words) <= LENGTH[1] and text.strip().endswith((".", "?", "!")))


def _no_repetition(words: Sequence[str]) -> float:
    heavy = [word for word in words if word not in _LIGHT]
    return float(bool(heavy) and len(set(heavy)) == len(heavy))
