"""Little made languages: one-line answers about a subject, in a good or a bad tone, all by the dice that are given."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rewards import FINE, HARSH, PLEASANT, POOR, UNWISE, WISE

Words = tuple[str, ...]


@dataclass(frozen=True)
class Grammar:
    """Args: prompt: with ``{}`` for the subject. line: an answer from a subject and the words of one tone."""

    prompt: str
    subjects: Sequence[str]
    good: Words
    bad: Words
    line: Callable[[str, Words, random.Random], str]


ANIMALS = ("fox", "goose", "mole", "hare", "crow", "toad", "badger", "heron", "otter", "wren")
VERBS = ("carries", "hides", "mends", "paints", "sells", "brings", "finds", "keeps")
THINGS = ("a lamp", "a rope", "a coat", "a drum", "a kettle", "a basket", "a map", "a wheel")
PLACES = ("to the mill", "in the barn", "by the river", "near the tower", "on the hill", "under the bridge")
WEATHER = ("the rain has stopped", "the wind is up", "the snow lies deep", "the sun is out")
ENDINGS = ("write soon", "come before winter", "give my love to all", "do not wait for me")

GOODS = ("saddle", "ladder", "mirror", "barrel", "blanket", "candle", "hammer", "teapot")
MATTERS = ("oak", "brass", "wool", "clay", "pine", "tin")
COINS = ("two", "three", "five", "seven", "nine", "twelve")
SELLERS = ("the baker", "the smith", "widow brown", "old peter", "the ferryman")

PEOPLE = ("miller", "tailor", "shepherd", "mayor", "cook", "sailor", "teacher")
DEEDS = ("fed the geese", "rang the bell", "lost a boot", "swept the yard", "wrote a song", "caught a thief")
TIMES = ("one evening", "last spring", "at noon", "on market day", "in the storm")
MORALS = ("and nobody went hungry", "and all laughed", "but few believed it", "and the king heard of it")


def _errand(animal: str, tone: Words, rng: random.Random) -> str:
    return f"the {rng.choice(tone)} {animal} {rng.choice(VERBS)} {rng.choice(THINGS)} {rng.choice(PLACES)}."


def _letter(animal: str, tone: Words, rng: random.Random) -> str:
    opening = f"my {rng.choice(tone)} {animal}, {rng.choice(WEATHER)}."
    middle = f"a {rng.choice(tone)} friend {rng.choice(VERBS)} {rng.choice(THINGS)} {rng.choice(PLACES)}"
    return f"{opening} {middle}, {rng.choice(ENDINGS)}."


def _notice(goods: str, tone: Words, rng: random.Random) -> str:
    return f"{rng.choice(tone)} {goods} of {rng.choice(MATTERS)}, {rng.choice(COINS)} coins, ask {rng.choice(SELLERS)}."


def _tale(person: str, tone: Words, rng: random.Random) -> str:
    start = f"{rng.choice(TIMES)} the {rng.choice(tone)} {person} {rng.choice(DEEDS)} and {rng.choice(DEEDS)}"
    return f"{start}. that was {rng.choice(tone)}, {rng.choice(MORALS)}."


GRAMMARS: Mapping[str, Grammar] = {
    "errands": Grammar("about the {}", ANIMALS, PLEASANT, HARSH, _errand),
    "letters": Grammar("about the {}", ANIMALS, PLEASANT, HARSH, _letter),
    "notices": Grammar("for sale: {}", GOODS, FINE, POOR, _notice),
    "tales": Grammar("what did the {} do?", PEOPLE, WISE, UNWISE, _tale),
}
