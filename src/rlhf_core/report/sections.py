"""Parts of a page: what is drawn and told of one stage and of one evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from .charts import Flag, Series, line_chart, number
from .content import EvaluationContent, MetricRow, StageContent
from .curves import by_step, curve, frontier, quantiles
from .explanations import ChartSpec, charts_for
from .grades import Grades, grades_of
from .histograms import histogram
from .intervals import Interval, interval_chart
from .questions import Answer, evaluation_answer, reading, stage_answers
from .samples import Pairs, evaluation_pairs, training_pairs
from .verdicts import Verdicts, verdicts_of

RATES = ("win-rate", "length-controlled-win-rate")
YARDSTICK = "by-"
"""Metrics of a judged comparison; the second is how those by judges that know nothing begin."""
MOST_HISTOGRAMS = 12
MOST_NUMBERS = 8
"""Numbers per answer among which the reader of an evaluation's texts may choose."""


@dataclass(frozen=True)
class Chart:
    title: str
    svg: Markup
    reading: str
    legend: Sequence[Series]


@dataclass(frozen=True)
class StageSection:
    content: StageContent
    answers: Sequence[Answer]
    charts: Sequence[Chart]
    pairs: Pairs | None
    headline: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class EvaluationSection:
    content: EvaluationContent
    answer: Answer | None
    table: Sequence[tuple[Mapping[str, Any], str]]
    histograms: Sequence[Chart]
    pairs: Pairs | None
    judged: Sequence[JudgedSection]
    graded: Sequence[Grades]

    @property
    def corrected(self) -> bool:
        """Whether several runs were compared, so that there is a q beside each p."""
        return any(row.get("q") is not None for row in self.content.summary)


@dataclass(frozen=True)
class JudgedSection:
    """``rates``: how often the run won, with its intervals, and what judges that know nothing say."""

    verdicts: Verdicts
    rates: Chart


def stage_section(stage: StageContent) -> StageSection:
    flags = flags_of(stage)
    charts = [chart for spec in charts_for(numeric(stage.metrics)) if (chart := draw(spec, stage.metrics, flags))]
    return StageSection(
        stage,
        stage_answers(stage),
        [*charts[:3], *frontier_chart(frontier(stage.metrics)), *spread_charts(stage), *charts[3:]],
        training_pairs(stage.samples),
        headline(stage.metrics),
    )


def flags_of(stage: StageContent) -> list[Flag]:
    return [
        Flag(float(alarm["step"]), f"{stage.name}, step {alarm['step']}: {alarm['says']}") for alarm in stage.alarms
    ]


def draw(spec: ChartSpec, rows: Sequence[MetricRow], flags: Sequence[Flag]) -> Chart | None:
    series = []
    for color, metric in enumerate(spec.metrics):
        for split, label in (("train", metric), ("validation", f"{metric}, held out")):
            if (one := curve(rows, split, metric, label, color)) is not None:
                series.append(one)
    return chart(spec.title, series, spec.reading, y_label=spec.unit, flags=flags)


def chart(
    title: str,
    series: Sequence[Series],
    words: str,
    *,
    x_label: str = "step",
    y_label: str = "",
    flags: Sequence[Flag] = (),
) -> Chart | None:
    """None where nothing is finite."""
    svg = line_chart(series, x_label=x_label, y_label=y_label, title=title, flags=flags)
    return Chart(title, Markup(svg), words, series) if svg else None


def frontier_chart(series: Sequence[Series]) -> list[Chart]:
    """The frontier: how much score was bought for how much KL."""
    words = "Score bought against KL paid. Where the curve bends flat or down, more KL buys over-optimisation."
    label = "KL to the reference, nats per completion"
    found = chart("Reward against KL", series, words, x_label=label, y_label="score")
    return [found] if found else []


def spread_charts(stage: StageContent) -> list[Chart]:
    """How held-out rows and samples differ among themselves, where the mean alone would hide it."""
    charts = []
    for name in rows_numbers(stage.held_out):
        at_step = by_step(stage.held_out, name)
        words = f"Over the {len(at_step[max(at_step)])} held-out rows of each evaluation: median, and the middle 80 %."
        charts += [quantile_chart(f"{title_of(name)} of single rows", at_step, words, name), *ends(name, at_step)]
    words = "Over the held-out prompts that are sampled at each evaluation: median, and the middle 80 %."
    for name, title, unit in (("score", "Scores of the samples", "reward"), ("words", "Words of the samples", "words")):
        if name not in rows_numbers(stage.held_out):
            charts.append(quantile_chart(title, by_step(stage.samples, name), words, unit))
    return [one for one in charts if one]


def rows_numbers(rows: Sequence[MetricRow]) -> list[str]:
    """What is known of single held-out rows, the loss first."""
    names = dict.fromkeys(name for row in rows for name in row if name not in ("step", "record_id"))
    return sorted(names, key=lambda name: name != "loss")


def title_of(name: str) -> str:
    return name.replace("_", " ").capitalize()


def quantile_chart(title: str, at_step: Mapping[int, Sequence[float]], words: str, unit: str) -> Chart | None:
    series = quantiles(at_step)
    return None if series is None else chart(title, [series], words, y_label=unit)


def ends(name: str, at_step: Mapping[int, Sequence[float]]) -> list[Chart]:
    """The whole distribution at the last evaluation, and an outline of the first; none of a single evaluation."""
    first, last = min(at_step), max(at_step)
    title = f"{title_of(name)} of single rows, first and last"
    if first == last or not (svg := histogram(at_step[last], at_step[first], title=name)):
        return []
    words = "How many of the held-out rows lie where. held_out.jsonl names those far out."
    legend = [Series(f"step {last}", (), 0), Series(f"step {first}", (), 1)]
    return [Chart(title, Markup(svg), words, legend)]


def headline(rows: Sequence[MetricRow]) -> list[tuple[str, str, str]]:
    """(metric, first, last) on held-out data, where measured at least twice."""
    held_out = [row for row in rows if row.get("split") == "validation"]
    if len(held_out) < 2:
        return []
    names = [name for spec in charts_for(numeric(held_out)) for name in spec.metrics]
    both = [name for name in names if held_out[0].get(name) is not None and held_out[-1].get(name) is not None]
    return [(name, with_error(held_out[0], name), with_error(held_out[-1], name)) for name in both]


def with_error(row: MetricRow, name: str) -> str:
    """``0.42 ± 0.03`` with 1.96 standard errors, where the row has them."""
    error = row.get(f"{name}_se")
    return number(float(row[name])) + ("" if error is None else f" ± {number(1.96 * float(error))}")


def evaluation_section(evaluation: EvaluationContent) -> EvaluationSection:
    pairs = None
    if evaluation.baseline and any(row["of"] == "baseline" for row in evaluation.rows):
        numbers = [row["name"] for row in evaluation.summary if row.get("better")][:MOST_NUMBERS]
        pairs = evaluation_pairs(
            evaluation.rows, run=evaluation.name, baseline=evaluation.baseline, numbers=numbers
        )  # fmt: skip
    return EvaluationSection(
        evaluation,
        evaluation_answer(evaluation),
        [(row, reading(row)) for row in evaluation.summary],
        histograms(evaluation),
        pairs,
        [JudgedSection(found, win_rates(evaluation, found.judge)) for found in verdicts_of(evaluation)],
        grades_of(evaluation),
    )


def win_rates(evaluation: EvaluationContent, judge: str) -> Chart:
    """The judge's rates, and the yardsticks under them in another colour."""
    rows = {str(row["name"]).removeprefix(f"{judge}/"): row for row in evaluation.summary}
    yardsticks = [name for name in rows if name.startswith(YARDSTICK)]
    shown = [
        Interval(name, float(row["mean"]), row["low"], row["high"], color=int(name in yardsticks))
        for name in (*RATES, *yardsticks) if (row := rows.get(name)) is not None and row["mean"] is not None
    ]  # fmt: skip
    words = (
        f"Share of prompts that {evaluation.name} wins, a tie as half, with 95 % intervals. Believe a win rate that "
        "leaves 0.5 out, and is more than what judges say that know nothing: the longer one, the first one, a coin."
    )
    svg = interval_chart(shown, neutral=0.5, title=f"Win rates by {judge}")
    return Chart(f"Win rates by {judge}", Markup(svg), words, [Series(judge, (), 0), Series("knows nothing", (), 1)])


def histograms(evaluation: EvaluationContent) -> list[Chart]:
    """Of every number that is more than yes or no."""
    charts: list[Chart] = []
    for name in (str(row["name"]) for row in evaluation.summary):
        run, baseline = (
            [float(row[name]) for row in evaluation.rows if row["of"] == side and row.get(name) is not None]
            for side in ("run", "baseline")
        )
        if set(run) | set(baseline) <= {0.0, 0.5, 1.0} or len(charts) == MOST_HISTOGRAMS:
            continue
        if svg := histogram(run, baseline, title=name):
            legend = [Series(evaluation.name, (), 0), *([Series(str(evaluation.baseline), (), 1)] if baseline else [])]
            charts.append(Chart(name, Markup(svg), "", legend))
    return charts


def numeric(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    return {name for row in rows for name, value in row.items() if isinstance(value, int | float)}
