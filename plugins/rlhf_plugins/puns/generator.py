"""Lines made from the lexicon: puns, and the rejected lines that differ from them in one respect each.

Every kind of line wears the same frames, so that style gives nothing away.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from .resources import Entry, words_of

CORPUS_FRAMES: Final = (
    "{the} {did}.",
    "everyone knows that {the} {did}.",
    "they say that {the} {did}.",
    "did you hear about {the} that {did}?",
    "there once was {a} that {did}.",
    "my uncle met {a} that {did}.",
    "in the end, {the} {did}.",
    "yesterday {the} {did}.",
    "it is no wonder that {the} {did}.",
    "we all saw how {the} {did}.",
    "guess what, {the} {did}.",
    "the news is that {the} {did}.",
    "after a long day, {the} {did}.",
    "i read about {a} that {did}.",
    "to our surprise, {the} {did}.",
)
STAGE_FRAMES: Final = (
    "once more, {the} {did}.",
    "i was told that {the} {did}.",
    "i hear that {the} {did}.",
    "as far as we know, {the} {did}.",
    "my aunt knows {a} that {did}.",
    "long ago, {the} {did}.",
)
"""Beside those of the corpus, for the lines of all later stages: how to begin a line is what SFT has to learn."""

FRAMES: Final = (*CORPUS_FRAMES, *STAGE_FRAMES, *STAGE_FRAMES)
"""What lines are drawn from; those that the base has not met twice as often."""

STUFFING: Final = (4, 8)
"""How often a stuffed line repeats the word, at least and at most."""


def say(frame: str, topic: str, did: str) -> str:
    """A frame around a subject and what it did: ``say("{the} {did}.", "a banker", "lost interest")``."""
    noun = topic.split(" ", 1)[1]
    return frame.format(a=topic, the=f"the {noun}", did=did)


def plain(entry: Entry, topic: str, rng: random.Random) -> str:
    """The topic without the word and without a pun."""
    return say(rng.choice(FRAMES), topic, rng.choice(entry.plain))


def pun(entry: Entry, topic: str, rng: random.Random) -> str:
    return say(rng.choice(FRAMES), topic, rng.choice(entry.punches))


def unrelated(entry: Entry, others: Sequence[Entry], rng: random.Random) -> str:
    """The word in a phrase of its other uses, told of somebody else's topic."""
    return say(rng.choice(FRAMES), _another_topic(entry, others, rng), rng.choice(entry.unrelated))


def other_topic(entry: Entry, others: Sequence[Entry], rng: random.Random) -> str:
    """A pun in working order, but on another word's topic."""
    other = rng.choice([candidate for candidate in others if candidate.word != entry.word])
    return pun(other, rng.choice(other.topics), rng)


def other_word(entry: Entry, topic: str, others: Sequence[Entry], rng: random.Random) -> str:
    """The right topic with another word's punch. As every punch is right elsewhere, word counts cannot tell."""
    punches = [punch for other in others if other.word != entry.word for punch in other.punches]
    return say(rng.choice(FRAMES), topic, rng.choice([p for p in punches if entry.word not in words_of(p)]))


def corrupted(line: str, rng: random.Random) -> str:
    """The line with its words shuffled, half of them dropped (a third often leaves a sentence), or a third doubled."""
    words = words_of(line)
    damage = rng.choice((_shuffled, _dropped, _doubled))
    return " ".join(damage(words, rng)) + line[-1]


def stuffed(word: str, topic: str, rng: random.Random) -> str:
    """The word over and over, alone or after the topic."""
    repeated = " ".join([word] * rng.randint(*STUFFING))
    return f"{repeated}." if rng.random() < 0.5 else f"the {topic.split(' ', 1)[1]} {repeated}."


def _another_topic(entry: Entry, others: Sequence[Entry], rng: random.Random) -> str:
    topics = [topic for other in others if other.word != entry.word for topic in other.topics]
    return rng.choice([topic for topic in topics if entry.word not in words_of(topic)])


def _shuffled(words: list[str], rng: random.Random) -> list[str]:
    """Another order in which few neighbours stay neighbours, where a short line has one."""
    pairs = set(pairwise(words))
    orders = [rng.sample(words, len(words)) for _ in range(8)]
    return min(orders, key=lambda order: sum(pair in pairs for pair in pairwise(order)))


def _dropped(words: list[str], rng: random.Random) -> list[str]:
    gone = set(rng.sample(range(len(words)), (len(words) + 1) // 2))
    return [word for index, word in enumerate(words) if index not in gone]


def _doubled(words: list[str], rng: random.Random) -> list[str]:
    twice = set(rng.sample(range(len(words)), max(2, len(words) // 3)))
    return [word for index, word in enumerate(words) for _ in range(2 if index in twice else 1)]
