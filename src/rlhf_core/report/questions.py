"""What people ask of a run, answered in words from its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .charts import number
from .content import EvaluationContent, Gain, MetricRow, StageContent
from .curves import score_path

BY_CHANCE = 20
"""Of so many comparisons about one 95 % interval leaves 0 out where nothing changed."""
SMALL_KL = 0.05
"""Nats per completion below which a policy has hardly moved."""


@dataclass(frozen=True)
class Answer:
    question: str
    text: str


def stage_answers(stage: StageContent) -> list[Answer]:
    """The trainer's own readings, then what the numbers say."""
    found = [Answer(question, text) for question, text in stage.readings.items()]
    if stage.gain is not None:
        found.append(Answer("Is the gain real?", sampled_gain(stage.gain)))
    if price := price_of_score(stage.metrics):
        found.append(Answer("Was the KL worth its price?", price))
    return found


def sampled_gain(gain: Gain) -> str:
    interval = "" if gain.low is None or gain.high is None else f" (95 % interval {span(gain.low, gain.high)})"
    return (
        f"On the {gain.prompts} held-out prompts sampled during training the score changed by {signed(gain.value)}"
        f"{interval}, first against last: {verdict(gain.low, gain.high)}. An evaluation beside a baseline "
        "(rlhf evaluate --run RUN --baseline RUN) asks more prompts and more metrics."
    )


def verdict(low: float | None, high: float | None, neutral: float = 0.0) -> str:
    """``real`` where the interval leaves ``neutral`` out."""
    if low is None or high is None:
        return "one prompt says nothing of how prompts differ"
    return "real" if low > neutral or high < neutral else "not distinguishable"


def evaluation_answer(evaluation: EvaluationContent) -> Answer | None:
    """Which differences to the baseline are real; None where there is nothing to compare with."""
    compared = [row for row in evaluation.summary if row.get("conclusion")]
    if not compared:
        return None
    sides = {word: [row for row in compared if row["conclusion"] == word] for word in ("better", "worse")}
    told = [f"real and {word}: {', '.join(difference(row) for row in rows)}" for word, rows in sides.items() if rows]
    if moved := [str(row["name"]) for row in compared if row["conclusion"] in ("higher", "lower")]:
        told.append(f"real, neither good nor bad by itself: {', '.join(moved)}")
    if rest := sum(row["conclusion"] == "not distinguishable" for row in compared):
        told.append(f"not distinguishable: {rest} of {len(compared)}")
    caution = (
        f" Of {BY_CHANCE} metrics about one looks real by chance alone." if len(compared) >= BY_CHANCE // 2 else ""
    )
    return Answer("Is the gain real?", f"{sentence('; '.join(told))}.{caution}")


def difference(row: Mapping[str, Any]) -> str:
    """``puns/pun +0.072 (0.037 … 0.109)``; a metric that compares by itself shows its own value."""
    paired = row.get("neutral") is None
    value, low, high = (
        (row["difference"], row["difference_low"], row["difference_high"])
        if paired
        else (row["mean"], row["low"], row["high"])
    )
    shown = signed(value) if paired else number(value)
    return f"{row['name']} {shown} ({span(low, high)})"


def reading(row: Mapping[str, Any]) -> str:
    """The conclusion of a summary row in words: ``real: better``, ``not distinguishable``, or nothing."""
    conclusion = str(row.get("conclusion") or "")
    return f"real: {conclusion}" if conclusion in ("better", "worse", "higher", "lower") else conclusion


def price_of_score(metrics: Sequence[MetricRow]) -> str:
    """Score bought per nat, first half of the held-out path against the second; empty where there is none."""
    path = score_path(metrics, "validation")
    if len(path) < 3:
        return ""
    start, middle, end = path[0], path[len(path) // 2], path[-1]
    told = f"Held out, {number(end[0])} nats of KL came with {signed(end[1] - start[1])} score"
    if end[0] < SMALL_KL:
        return (
            f"{told}: the policy has hardly moved. More steps, a higher learning rate or a smaller KL weight move it."
        )
    halves = f"{signed(middle[1] - start[1])} in the first half, {signed(end[1] - middle[1])} in the second"
    if end[1] - middle[1] <= 0 < end[0] - middle[0]:
        mend = (
            "the later KL bought nothing: an earlier checkpoint, or a larger KL weight, is as good and nearer the start"
        )
    elif end[1] <= start[1]:
        mend = "so far it bought nothing"
    else:
        mend = "the score was still rising; whether the text is better too, the samples say"
    return f"{told} ({halves}): {mend}."


def signed(value: float) -> str:
    return ("+" if value > 0 else "") + number(value)


def span(low: float, high: float) -> str:
    return f"{number(low)} … {number(high)}"


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
