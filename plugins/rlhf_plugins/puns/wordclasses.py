"""Word classes for the fluency check: which words may stand in each other's place (``res/puns/wordclasses.json``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Final

from .resources import text_of

VERBS: Final = frozenset({"VERB", "VERB_S", "PAST", "BE", "WAS", "MODAL", "DO", "be", "has", "have", "had"})
"""Classes of which a sentence has at least one."""

_ALONE: Final = (
    "a an the of in on at for with to from by and or but so as than like that it not her be have has had no too"
)
"""Function words so frequent that each is a class of its own."""


@cache
def class_of(word: str) -> str:
    """The class of a lower-case word: by the hand-written lists, else by its ending, else a noun."""
    return _listed().get(word) or _by_ending(word)


@cache
def _listed() -> Mapping[str, str]:
    """Closed classes come first in the file and win; a word in two lists counts as what the first one says."""
    table = {word: word for word in _ALONE.split()}
    for name, words in json.loads(text_of("wordclasses.json")).items():
        for word in words.split():
            table.setdefault(word, name)
    return table


def _by_ending(word: str) -> str:
    if word.endswith("ed") and len(word) > 4:
        return "PAST"
    if word.endswith("ing") and len(word) > 5:
        return "ING"
    if word.endswith("ly") and len(word) > 4:
        return "ADVERB"
    if word.endswith("s") and not word.endswith(("ss", "us")):
        stems = (word[:-1], word[:-2])
        return "VERB_S" if any(_listed().get(stem) == "VERB" for stem in stems) else "PLURAL"
    return "NOUN"
