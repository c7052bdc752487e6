"""How a number is spread over completions, of a run and of its baseline on the same axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from .charts import BOTTOM, HEIGHT, Axes, number, padded_range

BINS = 24


def histogram(run: Sequence[float], baseline: Sequence[float] = (), *, title: str) -> str:
    """An ``<svg>``: shares per bin, the run as bars, the baseline as an outline; empty when the numbers do not differ.

    The outermost hundredth on either side falls into the outermost bins, so that one stray number flattens nothing.
    """
    everything = sorted(value for value in (*run, *baseline) if math.isfinite(value))
    if not everything:
        return ""
    cut = len(everything) // 100
    low, high = everything[cut], everything[-1 - cut]
    if low == high:
        return ""
    heights = [shares(values, low, high) for values in (run, baseline) if values]
    axes = Axes((low, high), (0.0, padded_range([max(map(max, heights))])[1]))
    parts = [f'<svg viewBox="0 0 460 {HEIGHT}" role="img" aria-label="{escape(f"{title}: share of completions")}">']
    parts += axes.drawn(x_label=title, y_label="share")
    parts += [_bar(index, share, low, high, axes) for index, share in enumerate(heights[0])]
    if baseline:
        parts.append(_outline(heights[1], low, high, axes))
    return "".join([*parts, "</svg>"])


def shares(values: Sequence[float], low: float, high: float) -> list[float]:
    """Of all finite values, per bin between ``low`` and ``high``; what lies outside counts in the outermost bin."""
    counts = [0] * BINS
    for value in filter(math.isfinite, values):
        counts[min(max(int((value - low) / (high - low) * BINS), 0), BINS - 1)] += 1
    return [count / max(sum(counts), 1) for count in counts]


def _edge(index: int, low: float, high: float) -> float:
    return low + (high - low) * index / BINS


def _bar(index: int, share: float, low: float, high: float, axes: Axes) -> str:
    left, top = axes.place(_edge(index, low, high), share)
    right, _ = axes.place(_edge(index + 1, low, high), share)
    span = f"{number(_edge(index, low, high))} to {number(_edge(index + 1, low, high))}"
    return (
        f'<rect class="bar s0" x="{left + 0.5:.1f}" y="{top:.1f}" width="{right - left - 1:.1f}" '
        f'height="{HEIGHT - BOTTOM - top:.1f}"><title>{span}: {number(share)}</title></rect>'
    )


def _outline(heights: Sequence[float], low: float, high: float, axes: Axes) -> str:
    corners = [axes.place(_edge(0, low, high), 0.0)]
    for index, share in enumerate(heights):
        corners += [axes.place(_edge(index + step, low, high), share) for step in (0, 1)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*corners, axes.place(high, 0.0)])
    return f'<polyline class="line s1" points="{path}"/>'
