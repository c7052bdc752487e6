"""Small talk for the pretraining corpus, put together from the phrases of ``res/puns/smalltalk.json``."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from .resources import text_of


def talks(count: int, rng: random.Random) -> Iterator[str]:
    """Every fixed exchange once, and ``count`` documents put together; some may be equal."""
    yield from ("\n".join(exchange) for exchange in _phrases()["exchanges"])
    for _ in range(count):
        yield rng.choice((_statement, _question, _reason, _sequence))(rng)


@cache
def _phrases() -> Mapping[str, Sequence[str]]:
    phrases: Mapping[str, Sequence[str]] = json.loads(text_of("smalltalk.json"))
    return phrases


def _draw(name: str, rng: random.Random) -> str:
    return rng.choice(_phrases()[name])


def _statement(rng: random.Random) -> str:
    when = _draw("times", rng)
    deed = f"{_draw('people', rng)} {_draw('deeds', rng)}"
    return f"{when} {deed}." if rng.random() < 0.4 else f"{deed} {when}."


def _question(rng: random.Random) -> str:
    who = _draw("people", rng)
    return f"what did {who} do {_draw('times', rng)}?\n{who} {_draw('deeds', rng)}."


def _reason(rng: random.Random) -> str:
    return f"{_draw('people', rng)} {_draw('deeds', rng)} {_draw('reasons', rng)}."


def _sequence(rng: random.Random) -> str:
    first, second = rng.sample(_phrases()["deeds"], 2)
    return f"first {_draw('people', rng)} {first}, and then {_draw('people', rng)} {second}."
