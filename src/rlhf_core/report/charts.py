"""Line charts as inline SVG: no script, no network, readable in print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 220
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 10, 30
COLORS = 6
DOTS = 60
"""Points up to which each is a dot that tells its value."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """Points in x order.

    Args:
        color: the number of a CSS class.
        dashed: held-out data.
        band: (x, low, high) in x order, shaded behind the line.
    """

    label: str
    points: Sequence[Point]
    color: int = 0
    dashed: bool = False
    joined: bool = True
    band: Sequence[tuple[float, float, float]] = ()

    @property
    def style(self) -> str:
        return f"s{self.color % COLORS}" + (" dashed" if self.dashed else "")


@dataclass(frozen=True)
class Flag:
    """Something that happened at ``x``: a line across the chart that says ``text`` on hover."""

    x: float
    text: str


def finite(points: Sequence[Point]) -> list[Point]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def ticks(low: float, high: float, *, about: int = 4) -> list[float]:
    """Round numbers that cover [low, high], about so many of them."""
    span = high - low
    step = 10.0 ** math.floor(math.log10(span / about))
    step *= min((1, 2, 5, 10), key=lambda factor: abs(span / (step * factor) - about))
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def x_ticks(xs: Sequence[float]) -> list[float]:
    """Round numbers within the data, whole ones where all are whole (steps are); of a single place that place."""
    if min(xs) == max(xs):
        return [xs[0]]
    found = ticks(min(xs), max(xs))
    return [tick for tick in found if tick.is_integer()] if all(float(x).is_integer() for x in xs) else found


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


@dataclass(frozen=True)
class Axes:
    """From values to places on the paper.

    Args:
        x, y: the ranges that are drawn. x_ticks: what is written below; round numbers by default.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    x_ticks: Sequence[float] | None = None

    def place(self, x: float, y: float) -> Point:
        (x_low, x_high), (y_low, y_high) = self.x, self.y
        return (
            LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM),
        )

    def drawn(self, *, x_label: str, y_label: str) -> list[str]:
        """Grid lines, ticks and labels."""
        parts = []
        for tick in ticks(*self.y):
            _, y = self.place(self.x[0], tick)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{number(tick)}</text>')
        for tick in ticks(*self.x) if self.x_ticks is None else self.x_ticks:
            x, _ = self.place(tick, self.y[0])
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{number(tick)}</text>'
            )
        parts.append(
            f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end">{escape(x_label)}</text>'
        )
        if y_label:
            parts.append(f'<text class="tick" x="2" y="{TOP + 3}">{escape(y_label)}</text>')
        return parts


def line_chart(
    series: Sequence[Series], *, x_label: str, y_label: str = "", title: str = "", flags: Sequence[Flag] = ()
) -> str:
    """An ``<svg>`` of all series on common axes; empty when no point is finite.

    Args:
        title: for those who cannot see the chart; the first and last value of each series are added.
    """
    drawn = [(one, finite(one.points)) for one in series]
    everything = [point for _, points in drawn for point in points]
    if not everything:
        return ""
    bands = [value for one in series for _, low, high in one.band for value in (low, high) if math.isfinite(value)]
    xs, ys = [x for x, _ in everything], [*(y for _, y in everything), *bands]
    axes = Axes(padded_range(xs), padded_range(ys), x_ticks(xs))
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(_in_words(title, drawn))}">']
    parts += axes.drawn(x_label=x_label, y_label=y_label)
    parts += [_flag(flag, axes) for flag in flags if axes.x[0] <= flag.x <= axes.x[1]]
    parts += [_band(one, axes) for one in series if len(one.band) > 1]
    for one, points in drawn:
        parts += _line(one, points, axes)
    return "".join([*parts, "</svg>"])


def _in_words(title: str, drawn: Sequence[tuple[Series, Sequence[Point]]]) -> str:
    told = [f"{one.label} {number(points[0][1])} to {number(points[-1][1])}" for one, points in drawn if points]
    return f"{title}: {'; '.join(told)}" if title else "; ".join(told)


def _line(series: Series, points: Sequence[Point], axes: Axes) -> list[str]:
    """The line, and dots that tell their value on hover where there are few."""
    places = [axes.place(*point) for point in points]
    parts = []
    if series.joined and len(places) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="line {series.style}" points="{path}"/>')
    if len(places) <= DOTS or not series.joined:
        parts += [
            f'<circle class="dot {series.style}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"><title>{escape(series.label)}: '
            f"{number(value[1])} at {number(value[0])}</title></circle>"
            for (x, y), value in zip(places, points, strict=True)
        ]
    return parts


def _band(series: Series, axes: Axes) -> str:
    finite_band = [one for one in series.band if all(map(math.isfinite, one))]
    edge = [axes.place(x, high) for x, _, high in finite_band]
    edge += [axes.place(x, low) for x, low, _ in reversed(finite_band)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in edge)
    return f'<polygon class="band {series.style}" points="{path}"/>'


def _flag(flag: Flag, axes: Axes) -> str:
    x, _ = axes.place(flag.x, axes.y[0])
    return (
        f'<g class="flag"><title>{escape(flag.text)}</title>'
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        f'<path d="M{x:.1f} {TOP} l8 4 l-8 4 z"/></g>'
    )
