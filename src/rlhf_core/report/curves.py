"""Rows of metrics to series of a chart: smoothed, thinned, with the band of what is known about each point."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from .charts import Point, Series
from .content import MetricRow

Z95 = 1.96
SMOOTHING_FROM = 60
"""Points from which a training curve is drawn as a moving mean over a thirtieth of its length."""
KL_NAMES = ("kl_exact", "kl_k3", "kl_k1")
"""What a score is drawn against, the first that was measured: the tail of k3 is heavy."""
MOST_POINTS = 300
"""A curve holds no more points than can be told apart; neighbours are joined into their mean."""


def points(rows: Sequence[MetricRow], split: str, x: str, y: str) -> list[Point]:
    chosen = [row for row in rows if row.get("split") == split and row.get(x) is not None and row.get(y) is not None]
    return [(float(row[x]), float(row[y])) for row in chosen]


def curve(rows: Sequence[MetricRow], split: str, metric: str, label: str, color: int) -> Series | None:
    """One metric over the steps; its band is ± 1.96 standard errors, where those are kept."""
    line = points(rows, split, "step", metric)
    if not line:
        return None
    window = len(line) // 30 if split == "train" and len(line) >= SMOOTHING_FROM else 1
    band = error_band(rows, split, metric, window)
    edges = [(x, low) for x, low, _ in band], [(x, high) for x, _, high in band]
    thinned = [(x, low, high) for (x, low), (_, high) in zip(*map(thin, edges), strict=True)]
    return Series(label, thin(smooth(line, window=window)), color, dashed=split == "validation", band=thinned)


def error_band(rows: Sequence[MetricRow], split: str, metric: str, window: int) -> list[tuple[float, float, float]]:
    """Of the moving mean: batches are drawn apart, so that their variances add up."""
    known = [row for row in rows if row.get(metric) is not None and row.get(f"{metric}_se") is not None]
    line = smooth(points(known, split, "step", metric), window=window)
    variances = smooth([(x, error * error) for x, error in points(known, split, "step", f"{metric}_se")], window=window)
    band = []
    for index, ((x, mean), (_, variance)) in enumerate(zip(line, variances, strict=True)):
        half = Z95 * math.sqrt(max(variance, 0.0) / min(index + 1, window))
        band.append((x, mean - half, mean + half))
    return band


def smooth(line: Sequence[Point], *, window: int) -> list[Point]:
    """Mean of the last ``window`` points at each point; the raw series when it is short."""
    if window <= 1:
        return list(line)
    smoothed, total = [], 0.0
    for i, (x, y) in enumerate(line):
        total += y - (line[i - window][1] if i >= window else 0.0)
        smoothed.append((x, total / min(i + 1, window)))
    return smoothed


def thin(line: Sequence[Point], *, most: int = MOST_POINTS) -> list[Point]:
    """Neighbours joined into their mean until no more than ``most`` are left."""
    if len(line) <= most:
        return list(line)
    size = math.ceil(len(line) / most)
    parts = [line[start : start + size] for start in range(0, len(line), size)]
    return [(math.fsum(x for x, _ in part) / len(part), math.fsum(y for _, y in part) / len(part)) for part in parts]


def score_path(rows: Sequence[MetricRow], split: str) -> list[Point]:
    """(KL, score) of each row that has both."""
    paths = (points(rows, split, name, "score") for name in KL_NAMES)
    return next(filter(None, paths), [])


def frontier(rows: Sequence[MetricRow], label: str = "", color: int = 0) -> list[Series]:
    """Score bought for KL: rollouts as dots, held-out measurements as a path."""
    series = []
    for offset, (split, name) in enumerate((("train", "rollouts"), ("validation", "held out"))):
        if path := score_path(rows, split):
            held_out = split == "validation"
            title = f"{label}, {name}" if label else name
            series.append(
                Series(title, thin(path), color if label else offset, dashed=held_out, joined=held_out)
            )  # fmt: skip
    return series


def by_step(rows: Sequence[MetricRow], number: str) -> dict[int, list[float]]:
    """The finite values of a number at each step, first step first.

    Args:
        number: the rows' own, or ``words`` for the length of the completion.
    """
    found: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        value = len(str(row["completion"]).split()) if number == "words" else row.get(number)
        if value is not None and math.isfinite(value):
            found[int(row["step"])].append(float(value))
    return dict(sorted(found.items()))


def quantiles(at_step: Mapping[int, Sequence[float]]) -> Series | None:
    """Median at each step, and the band between the 10 % and 90 % quantiles; None where there are no steps."""
    if not at_step:
        return None
    line = [(float(step), quantile(values, 0.5)) for step, values in at_step.items()]
    band = [(float(step), quantile(values, 0.1), quantile(values, 0.9)) for step, values in at_step.items()]
    return Series("median, 10 % to 90 %", line, 0, dashed=True, band=band)


def quantile(values: Sequence[float], share: float) -> float:
    """Linear between order statistics."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
