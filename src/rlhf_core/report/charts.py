"""Line charts as inline SVG: no script, no network, readable in print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 220
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 10, 30
Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """Points in x order. ``color`` is the number of a CSS class; a dashed line is held-out data."""

    label: str
    points: Sequence[Point]
    color: int = 0
    dashed: bool = False
    joined: bool = True


def finite(points: Sequence[Point]) -> list[Point]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def ticks(low: float, high: float, *, about: int = 4) -> list[float]:
    """Round numbers that cover [low, high], about so many of them."""
    span = high - low
    step = 10.0 ** math.floor(math.log10(span / about))
    step *= min((1, 2, 5, 10), key=lambda factor: abs(span / (step * factor) - about))
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """Short, for axes and tables: three significant digits."""
    if value == 0:
        return "0"
    if abs(value) >= 1e5 or abs(value) < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def padded_range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or max(abs(high) * 0.1, 1e-6)
    # A curve that stays on one side of zero is not drawn across it.
    return (max(low - margin, 0.0) if low >= 0 else low - margin), high + margin


def line_chart(series: Sequence[Series], *, x_label: str, y_label: str = "") -> str:
    """An ``<svg>`` of all series on common axes; empty when no point is finite."""
    drawn = [(one, finite(one.points)) for one in series]
    everything = [point for _, points in drawn for point in points]
    if not everything:
        return ""
    x_low, x_high = padded_range([x for x, _ in everything])
    y_low, y_high = padded_range([y for _, y in everything])

    def place(point: Point) -> Point:
        x = LEFT + (point[0] - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - (point[1] - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return x, y

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_label or x_label)}">']
    for tick in ticks(y_low, y_high):
        _, y = place((x_low, tick))
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{number(tick)}</text>')
    for tick in ticks(x_low, x_high):
        x, _ = place((tick, y_low))
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{number(tick)}</text>'
        )
    parts.append(f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end">{escape(x_label)}</text>')
    if y_label:
        parts.append(f'<text class="tick" x="2" y="{TOP + 3}">{escape(y_label)}</text>')
    for one, points in drawn:
        parts += marks(one, points, [place(point) for point in points])
    return "".join([*parts, "</svg>"])


def marks(series: Series, points: Sequence[Point], places: Sequence[Point]) -> list[str]:
    """The line, and dots that tell their value on hover where there are few."""
    style = f"s{series.color % 6}" + (" dashed" if series.dashed else "")
    parts = []
    if series.joined and len(places) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="line {style}" points="{path}"/>')
    if len(places) <= 60 or not series.joined:
        parts += [
            f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"><title>{escape(series.label)}: '
            f"{number(value[1])} at {number(value[0])}</title></circle>"
            for (x, y), value in zip(places, points, strict=True)
        ]
    return parts


def smooth(points: Sequence[Point], *, window: int) -> list[Point]:
    """Mean of the last ``window`` points at each point; the raw series when it is short."""
    if window <= 1:
        return list(points)
    smoothed, total = [], 0.0
    for i, (x, y) in enumerate(points):
        total += y - (points[i - window][1] if i >= window else 0.0)
        smoothed.append((x, total / min(i + 1, window)))
    return smoothed
