"""Runs side by side: their curves on common axes, their last numbers, their texts on the same prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .charts import Series, number
from .content import ComparisonContent, StageContent
from .curves import curve, frontier
from .explanations import charts_for
from .questions import span
from .samples import spread
from .sections import Chart, chart, flags_of, frontier_chart, numeric, with_error

MOST_PROMPTS = 100


@dataclass(frozen=True)
class Table:
    """Rows of a label and one text per run."""

    title: str
    words: str
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class PromptRow:
    """Answers by run, in order; None where a run was not asked. ``scores`` likewise."""

    prompt: str
    texts: Sequence[str | None]
    scores: Sequence[float | None]


@dataclass(frozen=True)
class Comparison:
    content: ComparisonContent
    tables: Sequence[Table]
    charts: Sequence[Chart]
    prompts: Sequence[PromptRow]
    asked: int


def compare(content: ComparisonContent) -> Comparison:
    prompts = same_prompts(content.runs)
    return Comparison(content, tables(content), overlaid(content.runs), spread(prompts, MOST_PROMPTS), len(prompts))


def tables(content: ComparisonContent) -> list[Table]:
    """Settings, last held-out numbers, evaluations: those that there are."""
    found = [
        Table("Settings that differ", "All others are the same in every run.", list(content.settings.items())),
        Table("Last held-out numbers", "± 1.96 standard errors where they were kept.", last_numbers(content.runs)),
        Table(
            "Evaluation",
            "The newest of each run, with 95 % intervals. Intervals that overlap do not prove two runs equal, nor "
            "different: rlhf evaluate --run ONE --baseline OTHER pairs them by prompt.",
            evaluated(content.evaluations),
        ),
    ]
    return [table for table in found if table.rows]


def last_numbers(runs: Sequence[StageContent]) -> list[tuple[str, list[str]]]:
    held_out = [[row for row in run.metrics if row.get("split") == "validation"] for run in runs]
    last: list[Mapping[str, Any]] = [rows[-1] if rows else {} for rows in held_out]
    names = [name for spec in charts_for(numeric(last)) for name in spec.metrics]
    return [
        (name, [with_error(row, name) if row.get(name) is not None else "–" for row in last]) for name in names
    ]  # fmt: skip


def evaluated(evaluations: Sequence[Sequence[Mapping[str, Any]]]) -> list[tuple[str, list[str]]]:
    by_run = [{str(row["name"]): row for row in rows} for rows in evaluations]
    names = list(dict.fromkeys(name for rows in by_run for name in rows))
    return [(name, [_estimate(rows.get(name)) for rows in by_run]) for name in names]


def _estimate(row: Mapping[str, Any] | None) -> str:
    if row is None or row["mean"] is None:
        return "–"
    interval = f" ({span(row['low'], row['high'])})" if row["low"] is not None else ""
    return number(row["mean"]) + interval


def overlaid(runs: Sequence[StageContent]) -> list[Chart]:
    """One chart per metric that two runs have, or the only one that there is; a colour per run."""
    charts = []
    flags = [flag for run in runs for flag in flags_of(run)]
    for spec in charts_for(set().union(*(numeric(run.metrics) for run in runs))):
        for metric in spec.metrics:
            series: list[Series] = []
            for color, run in enumerate(runs):
                for split, label in (("train", run.name), ("validation", f"{run.name}, held out")):
                    if (one := curve(run.metrics, split, metric, label, color)) is not None:
                        series.append(one)
            if len({one.color for one in series}) > 1:
                title = spec.title if len(spec.metrics) == 1 else f"{spec.title}: {metric}"
                charts.append(chart(title, series, spec.reading, y_label=spec.unit, flags=flags))
    paths = [one for color, run in enumerate(runs) for one in frontier(run.metrics, run.name, color)]
    return [*frontier_chart(paths), *(one for one in charts if one)]


def same_prompts(runs: Sequence[StageContent]) -> list[PromptRow]:
    """Each run's last answers, by prompt; prompts that at least two runs were asked."""
    answers = [last_answers(run) for run in runs]
    prompts = list(dict.fromkeys(prompt for found in answers for prompt in found))
    rows = []
    for prompt in prompts:
        given = [found.get(prompt) for found in answers]
        if sum(one is not None for one in given) > 1:
            texts = [None if one is None else str(one["completion"]) for one in given]
            rows.append(PromptRow(prompt, texts, [None if one is None else one.get("score") for one in given]))
    return rows


def last_answers(run: StageContent) -> dict[str, Mapping[str, Any]]:
    last = max((int(row["step"]) for row in run.samples), default=0)
    return {str(row["prompt"]): row for row in run.samples if int(row["step"]) == last}
