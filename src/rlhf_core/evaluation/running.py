"""Sampling what is to be judged, and running evaluators over it, with a baseline beside it or without."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..contract.errors import RLHFError
from ..contract.evaluator import EvalContext, Evaluation, Evaluator
from ..contract.policy import Policy, SamplingSpec
from ..contract.records import PromptRecord, prompt_text
from ..contract.reward import Completion
from .result import EvaluationResult, SampleRow, SummaryRow, qualified
from .significance import neutral_p, paired_p
from .statistics import NOTHING, Z95, Estimate, clustered_mean, jackknife, paired_difference

_PROMPTS_AT_ONCE = 64
_FILLED_BY = {"policy": "policy", "reference": "policy", "baseline": "baseline", "train_set": "train_texts"}
_MEND = {
    "policy": "give it a run that holds a model",
    "reference": "give it a run that holds a model",
    "baseline": "name a baseline to compare with (--baseline RUN, or `baseline:` in the recipe)",
}


def sample_completions(
    policy: Policy, records: Sequence[PromptRecord], spec: SamplingSpec, *, seed: int, role: str = "policy"
) -> list[Completion]:
    """``spec.n`` completions of each record's prompt, in the order of the records.

    Raises: RLHFError naming the record whose prompt does not fit the context, or an id that occurs twice.
    """
    _require_unique([record.id for record in records])
    completions: list[Completion] = []
    for start in range(0, len(records), _PROMPTS_AT_ONCE):
        asked = records[start : start + _PROMPTS_AT_ONCE]
        # A demonstration or a pair is asked with its prompt only: its own completions must not become part of the row.
        rows = [policy.codec.encode(PromptRecord(id=r.id, fields=r.fields, prompt=r.prompt)) for r in asked]
        for record, rollout in zip(asked, policy.sample(rows, spec, seed=seed, role=role), strict=True):
            completions += [
                Completion(
                    prompt=prompt_text(record.prompt),
                    text=policy.codec.decode(tokens),
                    group=record.id,
                    record=record.fields,
                    tokens=tokens,
                    finished=finished,
                    turns=None if isinstance(record.prompt, str) else record.prompt,
                )
                for tokens, finished in zip(rollout.completions, rollout.finished, strict=True)
            ]
    return completions


def evaluate(
    completions: Sequence[Completion],
    evaluators: Mapping[str, Evaluator],
    context: EvalContext,
    *,
    baseline: Sequence[Completion] | None = None,
    baseline_policy: Policy | None = None,
    seed: int = 0,
) -> EvaluationResult:
    """Every evaluator on the completions and, where a baseline is given, on the baseline's, compared prompt by prompt.

    Args:
        evaluators: by the names under which their metrics are to appear.
        context: what the evaluators may ask for; ``context.baseline`` is set here.
        baseline: another run's completions of the same prompts, in the same order.
        baseline_policy: that run's policy; without it, evaluators that need a policy skip the baseline and say so.
        seed: of the bootstrap.

    Raises: RLHFError naming the evaluator and what it lacks, or the place where the baseline's prompts differ.
    """
    if not completions:
        raise RLHFError("nothing to evaluate: the evaluation data gave no prompt")
    if baseline is not None:
        _require_same_prompts(completions, baseline)
    runs = [
        _Findings(name, evaluator, *_run(name, evaluator, completions, baseline, context, baseline_policy))
        for name, evaluator in evaluators.items()
    ]
    groups = [completion.group for completion in completions]
    baseline_groups = [completion.group for completion in baseline or ()]
    summary = [row for found in runs for row in _summary(found, groups, baseline_groups, seed)]
    samples = _samples("run", completions, {found.name: found.run for found in runs})
    if baseline is not None:
        theirs = {found.name: found.baseline for found in runs if found.baseline is not None}
        samples += _samples("baseline", baseline, theirs)
    notes = [f"{found.name}: {note}" for found in runs for note in found.notes]
    return EvaluationResult(summary=summary, samples=samples, notes=notes, seed=seed)


@dataclass(frozen=True)
class _Findings:
    """One evaluator's evaluation of the run and, where it was made, of the baseline."""

    name: str
    evaluator: Evaluator
    run: Evaluation
    baseline: Evaluation | None
    notes: Sequence[str]


def _run(
    name: str,
    evaluator: Evaluator,
    completions: Sequence[Completion],
    baseline: Sequence[Completion] | None,
    context: EvalContext,
    baseline_policy: Policy | None,
) -> tuple[Evaluation, Evaluation | None, list[str]]:
    """The evaluation of the run, of the baseline, and the notes of both without repetition."""
    lent = _lend(name, evaluator, replace(context, baseline=baseline))
    run = _checked(name, evaluator.evaluate(completions, lent), len(completions))
    notes = list(run.notes)
    # An evaluator that asks for the baseline has compared with it already.
    if baseline is None or "baseline" in evaluator.needs:
        return run, None, notes
    if "policy" in evaluator.needs and baseline_policy is None:
        return run, None, [*notes, "not measured on the baseline, whose model is not at hand"]
    # A measuring model ("reference" alone) must be the same on both sides; a measured one is each side's own.
    policy = baseline_policy if "policy" in evaluator.needs else lent.policy
    other = evaluator.evaluate(baseline, replace(lent, policy=policy))
    notes += [f"baseline: {note}" for note in other.notes if note not in notes]
    return run, _checked(name, other, len(baseline)), notes


def _lend(name: str, evaluator: Evaluator, context: EvalContext) -> EvalContext:
    """The context with only what the evaluator listed in ``needs``."""
    for need in sorted(evaluator.needs):
        if need in _MEND and getattr(context, _FILLED_BY[need]) is None:
            raise RLHFError(f"evaluator {name}: needs the {need}, which is not there; {_MEND[need]}")
    wanted = {_FILLED_BY[need] for need in evaluator.needs}
    return EvalContext(
        lend=context.lend,
        policy=context.policy if "policy" in wanted else None,
        baseline=context.baseline if "baseline" in wanted else None,
        train_texts=context.train_texts if "train_texts" in wanted else None,
    )


def _checked(name: str, found: Evaluation, expected: int) -> Evaluation:
    """Raises: RLHFError when an evaluator gave too few numbers, one that is not finite, or one name to two things."""
    for metric, scores in found.scores.items():
        if len(scores) != expected:
            raise RLHFError(f"evaluator {name}: {metric} has {len(scores)} numbers for {expected} completions")
        for index, score in enumerate(scores):
            if score is not None and not math.isfinite(score):
                raise RLHFError(
                    f"evaluator {name}: {metric} of completion {index} is {score}; "
                    "return None where a metric is not defined"
                )
    if found.rows and len(found.rows) != expected:
        raise RLHFError(f"evaluator {name}: {len(found.rows)} rows for {expected} completions")
    if twice := found.scores.keys() & {column for row in found.rows for column in row}:
        raise RLHFError(f"evaluator {name}: {min(twice)} is a metric and a column of rows: call them differently")
    return found


def _summary(found: _Findings, groups: Sequence[str], baseline_groups: Sequence[str], seed: int) -> list[SummaryRow]:
    rows = []
    for metric, scores in found.run.scores.items():
        theirs = found.baseline.scores.get(metric) if found.baseline is not None else None
        rows.append(
            SummaryRow(
                evaluator=found.name,
                metric=metric,
                estimate=clustered_mean(scores, groups, share=metric in found.run.shares, seed=seed),
                better=found.run.better.get(metric),
                neutral=found.run.neutral.get(metric),
                baseline=NOTHING
                if theirs is None
                else clustered_mean(theirs, baseline_groups, share=metric in found.run.shares, seed=seed),
                difference=NOTHING
                if theirs is None
                else paired_difference(scores, groups, theirs, baseline_groups, seed=seed),
                p=_p(scores, groups, theirs, baseline_groups, found.run.neutral.get(metric), seed),
            )
        )
    return rows + _corpus_summary(found, groups, baseline_groups)


def _p(
    scores: Sequence[float | None], groups: Sequence[str], theirs: Sequence[float | None] | None,
    baseline_groups: Sequence[str], neutral: float | None, seed: int,
) -> float | None:  # fmt: skip
    """Of "no difference": to the baseline, or from the neutral value of a metric that compares by itself."""
    if neutral is not None:
        return neutral_p(scores, groups, neutral, seed=seed)
    return None if theirs is None else paired_p(scores, groups, theirs, baseline_groups, seed=seed)


def _corpus_summary(found: _Findings, groups: Sequence[str], baseline_groups: Sequence[str]) -> list[SummaryRow]:
    """Numbers of the whole set: with intervals where the evaluator can work them out for a part of it."""
    other = found.baseline
    errors: dict[str, float] = {}
    difference_errors: dict[str, float] = {}
    if found.run.recompute is not None:
        theirs = other.recompute if other is not None else None
        errors, difference_errors = jackknife(found.run.recompute, groups, theirs, baseline_groups)
    prompts = len(set(groups))
    rows = []
    for metric, value in found.run.corpus.items():
        baseline, difference = NOTHING, NOTHING
        if other is not None and metric in other.corpus:
            baseline = Estimate(other.corpus[metric], None, None, len(baseline_groups), prompts)
            apart = value - other.corpus[metric]
            difference = _normal(apart, difference_errors.get(metric), len(groups), prompts)
        rows.append(
            SummaryRow(
                evaluator=found.name,
                metric=metric,
                estimate=_normal(value, errors.get(metric), len(groups), prompts),
                better=found.run.better.get(metric),
                neutral=found.run.neutral.get(metric),
                baseline=baseline,
                difference=difference,
            )
        )
    return rows


def _normal(value: float, error: float | None, n: int, prompts: int) -> Estimate:
    if error is None:
        return Estimate(value, None, None, n, prompts)
    return Estimate(value, value - Z95 * error, value + Z95 * error, n, prompts)


def _samples(
    of: Literal["run", "baseline"], completions: Sequence[Completion], found: Mapping[str, Evaluation]
) -> list[SampleRow]:
    return [
        SampleRow(
            of=of,
            group=completion.group,
            prompt=completion.prompt,
            completion=completion.text,
            finished=completion.finished,
            scores={
                qualified(name, metric): scores[index]
                for name, evaluation in found.items()
                for metric, scores in evaluation.scores.items()
            },
            columns={
                qualified(name, column): value
                for name, evaluation in found.items()
                if evaluation.rows
                for column, value in evaluation.rows[index].items()
            },
        )
        for index, completion in enumerate(completions)
    ]


def _require_unique(ids: Sequence[str]) -> None:
    seen: set[str] = set()
    for record_id in ids:
        if record_id in seen:
            # Intervals are clustered by id, and samples are drawn by it: equal ids would give equal completions.
            raise RLHFError(f"evaluation data: the record id {record_id!r} occurs twice; make the ids unique")
        seen.add(record_id)


def _require_same_prompts(completions: Sequence[Completion], baseline: Sequence[Completion]) -> None:
    if len(completions) != len(baseline):
        raise RLHFError(
            f"the run has {len(completions)} completions and the baseline {len(baseline)}: "
            "both must answer the same prompts equally often"
        )
    for index, (own, other) in enumerate(zip(completions, baseline, strict=True)):
        if (own.group, own.prompt) != (other.group, other.prompt):
            raise RLHFError(
                f"completion {index} of the run answers {own.group!r} ({own.prompt!r}), "
                f"the baseline's {other.group!r} ({other.prompt!r}): both must answer the same prompts, in one order"
            )
