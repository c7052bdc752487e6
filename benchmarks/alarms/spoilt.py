"""Spoilt copies of a world's rows: what goes wrong when data are exported, joined or rated."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
OfARow = Callable[[Row, random.Random], Row]
OfAll = Callable[[Sequence[Row], random.Random], Sequence[Row]]


def _swapped(row: Row, rng: random.Random) -> Row:
    """Half of the pairs the wrong way round, as after a join on the wrong column."""
    return row if rng.random() < 0.5 else {**row, "chosen": row["rejected"], "rejected": row["chosen"]}


def _relabelled(row: Row, rng: random.Random) -> Row:
    return {**row, "label": rng.choice(("glad", "sad"))}


def _alike(row: Row, rng: random.Random) -> Row:
    """The rejected side is the chosen one but for a word: what sinks both likelihoods (Pal et al. 2024)."""
    words = row["chosen"].split()
    at = rng.randrange(1, len(words))
    return {**row, "rejected": " ".join([*words[:at], words[at - 1], *words[at + 1 :]])}


def _run_on(row: Row, _rng: random.Random) -> Row:
    """Completions that go on beyond any limit, so that none of them shows how an answer ends."""
    return {**row, "completion": " and ".join([row["completion"].rstrip(".")] * 8)}


def _marked_down(row: Row, rng: random.Random) -> Row:
    """A margin of the other sign, and in percent: rejected less chosen."""
    return {**row, "margin": -float(rng.randint(100, 300))}


def _mistyped(row: Row, rng: random.Random) -> Row:
    """The rejected side is the chosen one with two letters the wrong way round."""
    text = row["chosen"]
    places = [at for at in range(1, len(text) - 1) if text[at] != text[at + 1]]
    at = rng.choice(places)
    return {**row, "rejected": text[:at] + text[at + 1] + text[at] + text[at + 2 :]}


def _each(spoil: OfARow, share: float = 1.0) -> OfAll:
    return lambda rows, rng: [spoil(row, rng) if rng.random() < share else row for row in rows]


def _turned(row: Row, _rng: random.Random) -> Row:
    return {**row, "chosen": row["rejected"], "rejected": row["chosen"]}


def _undecided(rows: Sequence[Row], rng: random.Random) -> Sequence[Row]:
    """Both sides are good answers to the prompt: raters who had nothing to choose by."""
    answers = {row["prompt"]: [other["chosen"] for other in rows if other["prompt"] == row["prompt"]] for row in rows}
    return [{**row, "rejected": rng.choice(answers[row["prompt"]])} for row in rows]


def _longer(rows: Sequence[Row], rng: random.Random) -> Sequence[Row]:
    """Raters who like what is long: the chosen side is two good answers, the rejected one is one."""
    others = rng.sample(rows, len(rows))
    return [
        {**row, "chosen": f"{row['chosen']} {other['chosen']}", "rejected": row["chosen"]}
        for row, other in zip(rows, others, strict=True)
    ]


def _transcripts(rows: Sequence[Row], rng: random.Random) -> Sequence[Row]:
    """Whole conversations where one answer belongs: nobody split them at the turns."""
    turns = [f"{row['prompt']}\n{row['completion']}" for row in rows]
    return [{**row, "completion": "\n".join([row["completion"], *rng.sample(turns, 4)])} for row in rows]


def _copied(rows: Sequence[Row], _rng: random.Random) -> Sequence[Row]:
    """A dozen rows, written again and again with new ids: an export that was appended to itself."""
    return [{**rows[number % 12], "id": f"copy-{number}"} for number in range(len(rows))]


SPOILT: Mapping[str, Mapping[str, OfARow]] = {
    "pairs": {"swapped": _swapped, "alike": _alike},
    "labelled": {"relabelled": _relabelled},
    "demonstrations": {"run-on": _run_on},
}
SPOILT_AS_A_WHOLE: Mapping[str, Mapping[str, OfAll]] = {
    "pairs": {
        "marked-down": _each(_marked_down), "mistyped": _each(_mistyped), "noisy": _each(_turned, share=0.1),
        "undecided": _undecided, "longer": _longer,
    },
    "demonstrations": {"copied": _copied, "transcripts": _transcripts},
}  # fmt: skip
"""Of later date: each with dice of its own, so that the rows of the others stay as they are."""
