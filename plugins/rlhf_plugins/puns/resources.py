"""The hand-written files of ``res/puns`` as typed values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, get_args

from rlhf_core.contract.errors import RLHFError

Split = Literal["train", "validation", "development", "test", "test_hard"]
SPLITS: Final[tuple[Split, ...]] = get_args(Split)
PROMPT: Final = "make a pun about {topic}"

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


@dataclass(frozen=True)
class Entry:
    """A pun word and its phrases.

    Args:
        topics: noun phrases with a/an that call up the word's own sense: "a banker".
        punches: past-tense verb phrases in which the word means ``plays_on``: "lost interest".
        plain: verb phrases that suit the topics, without the word.
        unrelated: verb phrases with the word that are no pun on the topics.
    """

    word: str
    plays_on: str
    kind: str
    split: Split
    topics: tuple[str, ...]
    punches: tuple[str, ...]
    plain: tuple[str, ...]
    unrelated: tuple[str, ...]

    @property
    def held_out(self) -> tuple[str, ...]:
        """Topics that stand in no pun of the corpus: every other one, at least half; none for train words."""
        return () if self.split == "train" else self.topics if self.split == "test_hard" else self.topics[::2]

    @property
    def told(self) -> tuple[str, ...]:
        """Topics that the corpus may make puns about."""
        return tuple(topic for topic in self.topics if topic not in self.held_out)


@dataclass(frozen=True)
class PunRecord:
    """A hand-written record: three lines on one prompt."""

    id: str
    split: Split
    prompt: str
    pun_word: str
    plays_on: str
    pun: str
    plain: str
    unrelated: str


@dataclass(frozen=True)
class Cues:
    """The rule's word lists, written by people who had seen neither punches nor records.

    Args:
        topic: words that show the pun word's own sense.
        sense: words of the idioms in which it means the other.
    """

    topic: frozenset[str]
    sense: frozenset[str]


def words_of(text: str) -> list[str]:
    """Lower-case words, punctuation left out; an apostrophe inside a word stays."""
    return _WORD.findall(text.lower())


def normalised(text: str) -> str:
    """What is left of a line when case, punctuation and spacing do not count."""
    return " ".join(words_of(text))


def text_of(name: str) -> str:
    """A file of ``res/puns``."""
    return files("rlhf_core.res").joinpath("puns", name).read_text(encoding="utf-8")


def of_split(split: str) -> list[Entry]:
    """Raises: RLHFError naming the splits there are."""
    return [entry for entry in entries() if entry.split == checked(split, SPLITS)]


def checked(split: str, known: tuple[str, ...]) -> str:
    if split not in known:
        raise RLHFError(f"puns: no split {split!r} here; there is {', '.join(known)}")
    return split


@cache
def entries() -> tuple[Entry, ...]:
    return tuple(_entry(row) for row in _rows("words.jsonl"))


@cache
def records() -> tuple[PunRecord, ...]:
    return tuple(PunRecord(**row) for row in _rows("puns.jsonl"))


@cache
def cues() -> Mapping[str, Cues]:
    """By pun word."""
    return {
        row["word"]: Cues(frozenset(row["topic_cues"]), frozenset(row["sense_cues"])) for row in _rows("cues.jsonl")
    }


def _entry(row: Mapping[str, Any]) -> Entry:
    columns: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return Entry(**columns)


def _rows(name: str) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in text_of(name).splitlines())
