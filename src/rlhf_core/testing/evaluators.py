"""What every evaluator must do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import get_args

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Evaluator, Need
from rlhf_core.contract.reward import Completion, RewardContext

from .lending import eval_context
from .samples import completions


def check_evaluator(
    evaluator: Evaluator, *, lend: RewardContext | None = None, samples: Sequence[Completion] | None = None
) -> None:
    """One number or None per completion and metric; corpus numbers that can be recomputed; the same when asked again.

    Args:
        samples: completions to measure, where the ready-made ones will not do.
    Raises: AssertionError in one line.
    """
    name = type(evaluator).__name__
    unknown = set(evaluator.needs) - set(get_args(Need))
    assert not unknown, f"{name}: needs {sorted(unknown)}; there are {', '.join(get_args(Need))}"
    asked = completions() if samples is None else list(samples)
    context = eval_context(evaluator.needs, lend=lend)
    found = _evaluate(name, evaluator, asked, context)
    _require_numbers(name, found, asked)
    _require_known_metrics(name, found)
    _require_recomputable(name, found, len(asked))
    again = _evaluate(name, evaluator, asked, context)
    assert _rounded(again.scores) == _rounded(found.scores), (
        f"{name}: evaluate() called twice gives other scores: draw nothing without a fixed seed"
    )


def _evaluate(name: str, evaluator: Evaluator, asked: Sequence[Completion], context: EvalContext) -> Evaluation:
    found = evaluator.evaluate(asked, context)
    assert isinstance(found, Evaluation), f"{name}: evaluate() must give an Evaluation, found {type(found).__name__}"
    assert found.scores or found.corpus, f"{name}: evaluate() gave neither scores nor corpus numbers"
    return found


def _require_numbers(name: str, found: Evaluation, asked: Sequence[Completion]) -> None:
    for metric, numbers in found.scores.items():
        assert len(numbers) == len(asked), f"{name}: {len(numbers)} numbers of {metric!r} for {len(asked)} completions"
        for number, completion in zip(numbers, asked, strict=True):
            assert number is None or math.isfinite(number), (
                f"{name}: {metric!r} of {completion.text!r} is {number}: None says that it is not defined there"
            )
    for metric, number in found.corpus.items():
        assert math.isfinite(number), f"{name}: corpus number {metric!r} is {number}"
    assert len(found.rows) in (0, len(asked)), f"{name}: {len(found.rows)} rows for {len(asked)} completions"
    twice = {column for row in found.rows for column in row} & set(found.scores)
    assert not twice, f"{name}: {sorted(twice)[0]!r} names a metric and a column of rows: call them differently"


def _require_known_metrics(name: str, found: Evaluation) -> None:
    for label, entries in (("better", found.better), ("neutral", found.neutral)):
        unknown = set(entries) - set(found.scores) - set(found.corpus)
        assert not unknown, f"{name}: {label} names {sorted(unknown)[0]!r}, which is no metric of the evaluation"
    for metric, way in found.better.items():
        assert way in ("higher", "lower"), f"{name}: better[{metric!r}] is {way!r}, neither 'higher' nor 'lower'"


def _require_recomputable(name: str, found: Evaluation, count: int) -> None:
    if found.recompute is None:
        return
    whole = found.recompute(range(count))
    assert set(whole) == set(found.corpus), (
        f"{name}: recompute() gives {sorted(whole)}, corpus has {sorted(found.corpus)}"
    )
    for metric, number in found.corpus.items():
        assert math.isclose(whole[metric], number, rel_tol=1e-6), (
            f"{name}: recompute() of all completions gives {metric} = {whole[metric]:g}, corpus says {number:g}"
        )


def _rounded(scores: Mapping[str, Sequence[float | None]]) -> dict[str, list[float | None]]:
    return {
        metric: [None if number is None else float(f"{number:.4g}") for number in numbers]
        for metric, numbers in scores.items()
    }
