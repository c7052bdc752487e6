"""The page of a sweep: settings compared over their seeds, the frontier of score against KL, samples, alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from .frontier import Group, frontier_chart
from .page import fill

KL_NAMES = ("kl/exact", "kl/k3", "kl_exact", "kl_k3", "kl_k1")
"""What may stand on the x axis, the first that was measured; names before the slash are an evaluator's."""
SHOWN_SAMPLES = 6


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An answer to a held-out prompt. ``before``: the baseline's, or that of the start; empty where there is none."""

    key: str
    prompt: str
    before: str
    after: str
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PointContent:
    """One point.

    Args:
        setting: its values, without the seed. ``folder``: where it lies. ``error``: why it failed.
        metrics: as in ``sweep.json``. ``alarms``: dicts with ``name``, ``step``, ``says``.
        path: (KL, score) at each evaluation on held-out prompts.
    """

    setting: str
    seed: int
    status: str
    folder: str
    error: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    alarms: Sequence[Mapping[str, Any]] = ()
    path: Sequence[tuple[float, float]] = ()
    samples: Sequence[Sample] = ()


@dataclass(frozen=True, kw_only=True)
class SweepContent:
    """``table``: rows as in ``sweep.json``. ``planned``: the points there will be when all are done."""

    title: str
    command: str
    points: Sequence[PointContent]
    table: Sequence[Mapping[str, Any]]
    planned: int


@dataclass(frozen=True)
class Panel:
    title: str
    svg: Markup


def render_sweep(content: SweepContent) -> str:
    """The page as text; the caller writes it beside and renames it."""
    columns = sample_columns(content)
    return fill(
        "sweep.html", page=content, panels=[*frontiers(content), *paths(content)],
        metrics=metric_names(content.table), columns=columns, rows=sample_rows(columns), kl=kl_name(content.table),
    )  # fmt: skip


def metric_names(table: Sequence[Mapping[str, Any]]) -> list[str]:
    """All metrics, scores first, since a sweep is looked at for them."""
    names = list(dict.fromkeys(name for row in table for name in row["metrics"]))
    return sorted(names, key=lambda name: (not is_score(name.split(" − ")[0]), names.index(name)))


def is_score(name: str) -> bool:
    return name.rpartition(": ")[2].rpartition("/")[2] == "score"


def kl_name(table: Sequence[Mapping[str, Any]]) -> str | None:
    names = metric_names(table)
    found = (name for wanted in KL_NAMES for name in names if name.rpartition(": ")[2] == wanted)
    return next(found, None)


def frontiers(content: SweepContent) -> list[Panel]:
    """Each score against the KL: a mark per setting, the mean of its seeds, with bars that span them."""
    x = kl_name(content.table)
    if x is None:
        return []
    panels = []
    for y in (name for name in metric_names(content.table) if is_score(name)):
        groups = [
            Group(row["setting"], color, places)
            for color, row in enumerate(content.table)
            if (places := _places(content.points, row["setting"], x, y))
        ]
        if svg := frontier_chart(groups, x_label=f"{x}, nats per completion", y_label=y):
            panels.append(Panel(f"{y} against KL", Markup(svg)))
    return panels


def paths(content: SweepContent) -> list[Panel]:
    """How each setting went there: held-out score and KL at each evaluation, of its first seed."""
    groups = []
    for color, row in enumerate(content.table):
        first = next((p for p in content.points if p.setting == row["setting"] and p.path), None)
        if first is not None:
            groups.append(Group(row["setting"], color, list(first.path), path=True))
    svg = frontier_chart(groups, x_label="KL on held-out prompts, nats per completion", y_label="score")
    return [Panel("The way there, held out (first seed)", Markup(svg))] if svg else []


def sample_columns(content: SweepContent) -> list[PointContent]:
    """The first finished seed of each setting, least KL first: the readable ones stand left of the over-optimised."""
    x = kl_name(content.table)
    firsts = [
        next((p for p in content.points if p.setting == row["setting"] and p.samples), None) for row in content.table
    ]
    found = [point for point in firsts if point is not None]
    return sorted(found, key=lambda point: point.metrics.get(x or "", 0.0))


def sample_rows(columns: Sequence[PointContent]) -> list[list[Sample]]:
    """Per prompt that every column answered its samples, one per column."""
    by_key = [{sample.key: sample for sample in column.samples} for column in columns]
    keys = [key for key in by_key[0] if all(key in found for found in by_key)] if by_key else []
    return [[found[key] for found in by_key] for key in keys[:SHOWN_SAMPLES]]


def _places(points: Sequence[PointContent], setting: str, x: str, y: str) -> list[tuple[float, float]]:
    of_setting = [point.metrics for point in points if point.setting == setting]
    return [(metrics[x], metrics[y]) for metrics in of_setting if x in metrics and y in metrics]
