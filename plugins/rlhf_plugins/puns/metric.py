"""The pun metric: a rule with word lists of its own, on which nothing is trained.

The cue lists (``res/puns/cues.jsonl``) were written by people who had seen the words, topics and prompts, but neither
the generator's punches nor the hand-written lines. A completion counts when the prompt's pun word stands in it exactly
once, beside a word of the topic and a word of an idiom of the other sense, in a fluent line. It says nothing of wit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import cache
from typing import ClassVar

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Need
from rlhf_core.contract.options import NoOptions
from rlhf_core.contract.reward import Completion

from . import corpus
from .fluency import hand_lines, is_fluent
from .resources import PROMPT, SPLITS, Cues, cues, normalised, words_of
from .wordclasses import class_of

PARTS = ("pun", "on_word", "topic", "second_sense", "fluent", "copied")
NOUNS = frozenset({"NOUN", "PLURAL", "VERB", "ING"})
"""Classes that a prompt's content word may have: a noun, or a word that may be one."""


class PunMetric:
    """Columns used: ``pun_word``. For a prompt that has none, or a word without cues, only fluent and copied exist."""

    needs: ClassVar[Set[Need]] = frozenset()

    def __init__(self, options: NoOptions) -> None:
        del options

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        rows = [judged(completion) for completion in completions]
        return Evaluation(
            scores={part: [row[part] for row in rows] for part in PARTS},
            shares=PARTS,
            better={"copied": "lower", **dict.fromkeys(PARTS[:-1], "higher")},
            notes=(
                "pun: by a rule (word once, topic cue, idiom cue, fluent) on which nothing is trained; it sees no wit",
                "copied: the line stands in the hand-written records or among the puns of the base model's corpus",
            ),
        )


def judged(completion: Completion) -> Mapping[str, float | None]:
    """The metric and its parts for one completion: 1, 0, or None where it is not defined."""
    words = words_of(completion.text)
    fluent = is_fluent(completion.text)
    common = {"fluent": float(fluent), "copied": float(normalised(completion.text) in _written())}
    word = completion.record.get("pun_word")
    lists = cues().get(word) if isinstance(word, str) else None
    if lists is None or not isinstance(word, str):
        return {"pun": None, "on_word": None, "topic": None, "second_sense": None, **common}
    on_word = words.count(word) == 1
    topic = shows_topic(words, word, completion.prompt, lists)
    second = shows_second_sense(words, word, lists)
    strict = on_word and topic and second and fluent
    return {
        "pun": float(strict),
        "on_word": float(on_word),
        "topic": float(topic),
        "second_sense": float(second),
        **common,
    }


def shows_topic(words: Sequence[str], word: str, prompt: str, lists: Cues) -> bool:
    """A topic cue stands in the line, or a noun of the prompt itself. The pun word proves nothing."""
    asked = {other for other in words_of(prompt.removeprefix(PROMPT.format(topic=""))) if class_of(other) in NOUNS}
    wanted = {stem(cue) for cue in lists.topic | asked}
    return not wanted.isdisjoint(stem(other) for other in words if other != word)


def shows_second_sense(words: Sequence[str], word: str, lists: Cues) -> bool:
    wanted = {stem(cue) for cue in lists.sense}
    return not wanted.isdisjoint(stem(other) for other in words if other != word)


def stem(word: str) -> str:
    """The word without the ending of its plural, past or -ing form; short words stay whole."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)].removesuffix("e")
    return word.removesuffix("e") if len(word) > 3 else word


@cache
def _written() -> frozenset[str]:
    """Every hand-written line and every pun of the default corpus, normalised."""
    return frozenset(normalised(line) for line in (*hand_lines(SPLITS), *corpus.pun_lines(0)))
