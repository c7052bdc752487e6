"""Why an estimate of the KL is negative, or not zero at the start: which of the usual causes the records show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rlhf_core.training.health.history import History, Series, number

START = 0.05
"""Nats per completion from which an untouched policy is another model than its reference, by what is measured."""
NOISE = 2.0
"""Standard errors within which a negative mean is the luck of the draw."""


def odd_kl(history: History, stage: Mapping[str, Any]) -> list[str]:
    """Sentences; none where every estimate is as it should be."""
    found = history.series("kl_k1", "validation") or history.series("kl_k1", "train")
    if not found:
        return []
    starts_off = found.steps[0] == 0 and abs(found.values[0]) > START
    lowest = min(range(len(found)), key=found.values.__getitem__)
    if found.values[lowest] >= 0 and not starts_off:
        return []
    says = [f"kl_k1 is {number(found.values[lowest])} at step {found.steps[lowest]}, and no KL is negative: why?"]
    if starts_off:
        says = [f"kl_k1 is {number(found.values[0])} before the first step, where policy and reference are one: why?"]
    causes = list(_recorded(stage))
    if not starts_off:
        causes.append(_few_samples(history, found, lowest))
    return says + (causes or ["none of the recorded options explains it: compare the template with that of the base"])


def _recorded(stage: Mapping[str, Any]) -> Iterator[str]:
    """Options under which tokens are drawn from one distribution and scored under another."""
    sampling, training = stage.get("sampling") or {}, stage.get("training") or {}
    for name in ("top_k", "top_p"):
        if sampling.get(name) is not None:
            yield f"sampling.{name} = {sampling[name]} truncates what is drawn, not what is scored: set it to null"
    temperature = sampling.get("temperature", 1.0)
    if temperature != 1.0:
        yield f"sampling.temperature = {temperature}: the KL is right only where the trainer scores at it, too"
    if training.get("dropout"):
        yield "training.dropout = true: two scores of the same tokens differ; set it to null"
    if training.get("precision") == "bfloat16":
        yield "training.precision = bfloat16: logprobs are rounded by more than a small KL; compare with float32"


def _few_samples(history: History, found: Series, at: int) -> str:
    error, value = found.errors[at], found.values[at]
    others = history.series("kl_k3", found.split)
    beside = f"; kl_k3, which is never negative, is {number(others.values[at])}" if len(others) == len(found) else ""
    if not error:
        return f"k1 is a mean of few samples with both signs, and its error was not recorded{beside}"
    alone = "few samples" if abs(value) <= NOISE * error else "not few samples alone"
    return f"{alone}: this mean is {number(abs(value) / error)} standard errors below 0{beside}"
