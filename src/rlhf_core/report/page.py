"""One self-contained HTML page: no script from elsewhere, no font, no network; user text is escaped throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from .charts import Point, Series, line_chart, number, smooth
from .comparison import SamplePair, pair_samples
from .content import MetricRow, PageContent, StageContent
from .explanations import ChartSpec, charts_for

SMOOTHING_FROM = 60
"""Points from which a training curve is drawn as a moving mean over a thirtieth of its length."""


@dataclass(frozen=True)
class Chart:
    title: str
    svg: Markup
    reading: str
    legend: Sequence[Series]


@dataclass(frozen=True)
class StageSection:
    content: StageContent
    charts: Sequence[Chart]
    pairs: Sequence[SamplePair]
    headline: Sequence[tuple[str, str, str]]


def render(content: PageContent) -> str:
    """The page as text; the caller writes it beside and renames it."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["number"] = lambda value: "–" if value is None else number(float(value))
    template = environment.from_string(files(__package__).joinpath("page.html").read_text("utf-8"))
    return template.render(page=content, sections=[section(stage) for stage in content.stages])


def section(stage: StageContent) -> StageSection:
    names = {name for row in stage.metrics for name, value in row.items() if isinstance(value, int | float)}
    charts = [chart for spec in charts_for(names) if (chart := draw(spec, stage.metrics))]
    frontier = reward_against_kl(stage.metrics)
    return StageSection(
        stage, [*charts[:3], *frontier, *charts[3:]], pair_samples(stage.samples), headline(stage.metrics)
    )


def points(rows: Sequence[MetricRow], split: str, x: str, y: str) -> list[Point]:
    chosen = [row for row in rows if row.get("split") == split and row.get(x) is not None and row.get(y) is not None]
    return [(float(row[x]), float(row[y])) for row in chosen]


def draw(spec: ChartSpec, rows: Sequence[MetricRow]) -> Chart | None:
    series = []
    for color, metric in enumerate(spec.metrics):
        train = points(rows, "train", "step", metric)
        if train:
            smoothed = smooth(train, window=len(train) // 30 if len(train) >= SMOOTHING_FROM else 1)
            series.append(Series(metric, smoothed, color))
        if held_out := points(rows, "validation", "step", metric):
            series.append(Series(f"{metric}, held out", held_out, color, dashed=True))
    svg = line_chart(series, x_label="step", y_label=spec.unit)
    return Chart(spec.title, Markup(svg), spec.reading, series) if svg else None


def reward_against_kl(rows: Sequence[MetricRow]) -> list[Chart]:
    """The frontier: how much score was bought for how much KL."""
    series = []
    for color, (split, label) in enumerate((("train", "rollouts"), ("validation", "held out"))):
        if path := points(rows, split, "kl_k3", "score"):
            series.append(Series(label, path, color, dashed=split == "validation", joined=split == "validation"))
    svg = line_chart(series, x_label="KL to the reference (k3), nats per completion", y_label="score")
    reading = "Score bought against KL paid. Where the curve bends flat or down, more KL buys over-optimisation."
    return [Chart("Reward against KL", Markup(svg), reading, series)] if svg else []


def headline(rows: Sequence[MetricRow]) -> list[tuple[str, str, str]]:
    """(metric, first, last) on held-out data, where measured at least twice."""
    held_out = [row for row in rows if row.get("split") == "validation"]
    if len(held_out) < 2:
        return []
    names = [name for spec in charts_for(_numeric(held_out)) for name in spec.metrics]
    both = [name for name in names if held_out[0].get(name) is not None and held_out[-1].get(name) is not None]
    return [(name, number(float(held_out[0][name])), number(float(held_out[-1][name]))) for name in both]


def _numeric(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    return {name for row in rows for name, value in row.items() if isinstance(value, int | float)}
