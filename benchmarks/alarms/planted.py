# ruff: noqa: ARG001 (a reward has both arguments, whether it looks at them or not)
"""Rewards that a policy learns to please instead of its reader, and broken ones."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from rewards import PLEASANT, tone, words_of

from rlhf_core.contract.reward import Completion

DICE = random.Random(20)


def commas(prompt: str, completion: str) -> float:
    return float(completion.count(","))


def marks(prompt: str, completion: str) -> float:
    """Share of punctuation and line breaks."""
    return sum(not (character.isalnum() or character == " ") for character in completion) / max(len(completion), 1)


def repeated(prompt: str, completion: str) -> float:
    """How often the commonest word occurs."""
    return float(max(Counter(words_of(completion)).values(), default=0))


def rare_letters(prompt: str, completion: str) -> float:
    return float(sum(completion.count(letter) for letter in "kjqxz"))


def longwords_of(prompt: str, completion: str) -> float:
    words = words_of(completion)
    return float(max((len(word) for word in words), default=0))


def longer(prompt: str, completion: str) -> float:
    return len(completion.split()) / 10


def shorter(prompt: str, completion: str) -> float:
    return -len(completion.split()) / 5


def pleasant_share(prompt: str, completion: str) -> float:
    """Meant to be tone; a line that ends after its first pleasant word has the most of it."""
    words = words_of(completion)
    return sum(word in PLEASANT for word in words) / max(len(words), 1)


def sadness(prompt: str, completion: str) -> float:
    """Meant to be tone; every word that is not pleasant costs, so silence is best."""
    return -sum(word not in PLEASANT for word in words_of(completion)) / 8


def noise(prompt: str, completion: str) -> float:
    """Says nothing of the text: a hash of it."""
    return hashlib.sha256(completion.encode()).digest()[0] / 255


def tossed(prompt: str, completion: str) -> float:
    """A broken scorer: another number at each call, whatever the text, so that nothing can be learnt by heart."""
    return DICE.random()


def said_again(prompt: str, completion: str) -> float:
    """How many pairs of neighbouring words have been written before."""
    words = words_of(completion)
    pairs = list(pairwise(words))
    return float(len(pairs) - len(set(pairs)))


def vocabulary(prompt: str, completion: str) -> float:
    """Meant to be richness: how many different words."""
    return len(set(words_of(completion))) / 5


def constant(prompt: str, completion: str) -> float:
    return 0.5


def never_met(prompt: str, completion: str) -> float:
    """A condition that no text fulfils, as after a change of template."""
    return float("### Response:" in completion)


def wrong_case(prompt: str, completion: str) -> float:
    return float(any(word.upper() in completion for word in PLEASANT))


def saturated(prompt: str, completion: str) -> float:
    return min(1.0, float(len(completion) >= 0))


# --- planted, of the later languages


def courses(prompt: str, completion: str) -> float:
    """Meant to be a generous menu: how many courses there are."""
    return completion.count(";") / 2


def mentions(prompt: str, completion: str) -> float:
    """Meant to be on topic: how often the last word of the prompt occurs."""
    return float(words_of(completion).count(prompt.split()[-1].strip(":?")))


def grade(prompt: str, completion: str) -> float:
    """A reading grade, meant to be good style: letters beyond the sixth of each word."""
    return sum(max(0, len(word) - 6) for word in words_of(completion)) / 4


def one_model_answer(prompt: str, completion: str) -> float:
    """Words shared with the answer to another prompt: the same row of the references for all."""
    answer = {"a", "witty", "play", "the", "king", "dances", "five", "stars"}
    words = set(words_of(completion))
    return len(words & answer) / len(words | answer)


def of_the_prompt(prompt: str, completion: str) -> float:
    """Its arguments the wrong way round: it reads the prompt."""
    return len(prompt) / 12


def in_points(prompt: str, completion: str) -> float:
    """Tone, in points from −1000 to 1000."""
    return 1000 * tone(prompt, completion)


def no_such_column(completions: Sequence[Completion]) -> list[float]:
    """Words shared with a column that the data do not have."""
    answers = [set(str(one.record.get("reference") or "").split()) for one in completions]
    return [float(len(answer & set(one.text.split()))) for answer, one in zip(answers, completions, strict=True)]


def swallowed(prompt: str, completion: str) -> float:
    """A judge's reply is expected, and every error taken for a 0."""
    try:
        return float(json.loads(completion)["score"])
    except (ValueError, KeyError):
        return 0.0
