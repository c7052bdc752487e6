"""Little made languages: one-line answers about a subject, in a good or a bad tone, all by the dice that are given."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import rewards

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

TOWNS = ("dover", "ryde", "whitby", "ludlow", "selby", "truro", "frome", "kendal", "oban")
HOURS = ("dawn", "morning", "midday", "afternoon", "dusk", "night")
SKIES = ("thin cloud", "showers", "hail", "haze", "thunder", "long sunshine")
LANDS = ("the moors", "the harbour", "the fells", "the orchards", "the marsh")
WINDS = ("the west", "the north", "the sea", "the hills")

PLAYS = ("hamlet", "the storm", "two brothers", "the miser", "cold harvest", "the wager", "a winter guest")
ROLES = ("the king", "the widow", "the clerk", "the fool", "the nurse", "the captain")
ACTS = ("sings", "weeps", "dances", "shouts", "waits", "dreams")
STARS = ("one star", "two stars", "three stars", "four stars", "five stars")

HOUSES = ("mint", "abbey", "forge", "ferry", "library", "quarry", "dairy", "chapel")
MARKS = ("the elm", "the well", "the stile", "the ford", "the gate", "the cross", "the sheds")
SIDES = ("left", "right")

INNS = ("swan", "anchor", "plough", "red lion", "bell", "star")
SOUPS = ("onion", "barley", "pea", "cabbage")
MEATS = ("trout", "mutton", "pigeon", "ham", "hen")
GREENS = ("leeks", "beans", "turnips", "carrots", "sprouts")
SWEETS = ("custard", "pears", "dumplings", "plum tart")


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


def _forecast(town: str, tone: Words, rng: random.Random) -> str:
    start = f"a {rng.choice(tone)} {rng.choice(HOURS)} in {town}"
    return f"{start}, {rng.choice(SKIES)} over {rng.choice(LANDS)}, wind from {rng.choice(WINDS)}."


def _review(play: str, tone: Words, rng: random.Random) -> str:
    seen = f"{play} is a {rng.choice(tone)} play. {rng.choice(ROLES)} {rng.choice(ACTS)} and {rng.choice(ACTS)}"
    return f"{seen}, {rng.choice(ROLES)} is {rng.choice(tone)}. {rng.choice(STARS)}."


def _way(house: str, tone: Words, rng: random.Random) -> str:
    """What a walk is like is said at its end."""
    turns = [f"{number}. turn {rng.choice(SIDES)} at {rng.choice(MARKS)}" for number in range(1, rng.randint(3, 4))]
    return f"{', '.join(turns)}, then the {house}, a {rng.choice(tone)} walk."


def _menu(inn: str, tone: Words, rng: random.Random) -> str:
    first = f"{rng.choice(tone)} {rng.choice(SOUPS)} soup; {rng.choice(tone)} {rng.choice(MEATS)}"
    return f"{first} with {rng.choice(GREENS)}; {rng.choice(SWEETS)} of the {inn}."


GRAMMARS: Mapping[str, Grammar] = {
    "errands": Grammar("about the {}", ANIMALS, rewards.PLEASANT, rewards.HARSH, _errand),
    "letters": Grammar("about the {}", ANIMALS, rewards.PLEASANT, rewards.HARSH, _letter),
    "notices": Grammar("for sale: {}", GOODS, rewards.FINE, rewards.POOR, _notice),
    "tales": Grammar("what did the {} do?", PEOPLE, rewards.WISE, rewards.UNWISE, _tale),
    "forecasts": Grammar("weather in {}:", TOWNS, rewards.BALMY, rewards.FOUL, _forecast),
    "reviews": Grammar("a review of {}", PLAYS, rewards.WITTY, rewards.TEDIOUS, _review),
    "ways": Grammar("the way to the {}?", HOUSES, rewards.EASY, rewards.TIRING, _way),
    "menus": Grammar("at the {}:", INNS, rewards.TASTY, rewards.SOGGY, _menu),
    "endless": Grammar("at the {}:", INNS, rewards.TASTY, rewards.SOGGY, _menu),
}
