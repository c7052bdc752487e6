"""Score against KL as inline SVG: a labelled mark per setting with bars over its seeds, or the way it went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .charts import COLORS, number, ticks

WIDTH, HEIGHT = 560, 330
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 24, 38
Place = tuple[float, float]


@dataclass(frozen=True)
class Group:
    """A setting: a place (KL, score) per seed, or with ``path`` the places it passed in turn."""

    label: str
    color: int
    places: Sequence[Place]
    path: bool = False

    @property
    def finite(self) -> list[Place]:
        return [(x, y) for x, y in self.places if math.isfinite(x) and math.isfinite(y)]


def frontier_chart(groups: Sequence[Group], *, x_label: str, y_label: str) -> str:
    """An ``<svg>``; empty when no place is finite. Means of settings are joined in the order of their KL."""
    drawn = [group for group in groups if group.finite]
    if not drawn:
        return ""
    scale = _Scale([place for group in drawn for place in group.finite])
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{y_label} against {x_label}")}">']
    parts += _axes(scale, x_label, y_label)
    settings = sorted((group for group in drawn if not group.path), key=lambda group: _mean(group.finite))
    if len(settings) > 1:
        points = " ".join("{:.1f},{:.1f}".format(*scale.at(_mean(group.finite))) for group in settings)
        parts.append(f'<polyline class="line dashed" style="stroke: var(--soft)" points="{points}"/>')
    for group in drawn:
        parts += _path(group, scale) if group.path else _setting(group, scale)
    return "".join([*parts, "</svg>"])


class _Scale:
    """From (KL, score) to the drawing. KL begins at 0, since that is where every policy begins."""

    def __init__(self, places: Sequence[Place]) -> None:
        xs, ys = [x for x, _ in places], [y for _, y in places]
        self.x_low, self.x_high = min(0.0, min(xs)), max(xs) + 0.1 * ((max(xs) - min(0.0, min(xs))) or 1.0)
        margin = 0.12 * (max(ys) - min(ys)) or max(abs(max(ys)) * 0.1, 1e-6)
        self.y_low, self.y_high = min(ys) - margin, max(ys) + margin

    def at(self, place: Place) -> Place:
        x = LEFT + (place[0] - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - (place[1] - self.y_low) / (self.y_high - self.y_low) * (HEIGHT - TOP - BOTTOM)
        return x, y


def _axes(scale: _Scale, x_label: str, y_label: str) -> list[str]:
    parts = []
    for tick in ticks(scale.y_low, scale.y_high):
        _, y = scale.at((scale.x_low, tick))
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{number(tick)}</text>')
    for tick in ticks(scale.x_low, scale.x_high):
        x, _ = scale.at((tick, scale.y_low))
        y = HEIGHT - BOTTOM + 15
        parts.append(f'<text class="tick" x="{x:.1f}" y="{y}" text-anchor="middle">{number(tick)}</text>')
    parts.append(f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{escape(x_label)}</text>')
    parts.append(f'<text class="tick" x="2" y="12">{escape(y_label)}</text>')
    return parts


def _setting(group: Group, scale: _Scale) -> list[str]:
    """A dot per seed, a bar each way over them, and the mean with the setting beside it."""
    style, places = f"s{group.color % COLORS}", group.finite
    x, y = scale.at(_mean(places))
    left, right = (scale.at((bound([p[0] for p in places]), 0))[0] for bound in (min, max))
    low, high = (scale.at((0, bound([p[1] for p in places])))[1] for bound in (min, max))
    parts = []
    if len(places) > 1:
        parts.append(f'<line class="line {style}" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<line class="line {style}" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
        for place in places:
            a, b = scale.at(place)
            parts.append(f'<circle class="line {style}" cx="{a:.1f}" cy="{b:.1f}" r="2.4"/>')
    mean = _mean(places)
    told = f"{group.label}: {number(mean[1])} at KL {number(mean[0])}, {len(places)} seeds"
    parts.append(
        f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"><title>{escape(told)}</title></circle>'
    )
    parts.append(_label(group, x, y))
    return parts


def _path(group: Group, scale: _Scale) -> list[str]:
    style, places = f"s{group.color % COLORS}", [scale.at(place) for place in group.finite]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [f'<polyline class="line {style}" points="{points}"/>']
    parts += [f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>' for x, y in places]
    return [*parts, _label(group, *places[-1])]


def _label(group: Group, x: float, y: float) -> str:
    """Left of what stands near the right edge, else right of it."""
    inside = x < WIDTH - RIGHT - 7 * len(group.label)
    place = f'x="{x + 7:.1f}"' if inside else f'x="{x - 7:.1f}" text-anchor="end"'
    color = f"fill: var(--c{group.color % COLORS})"
    return f'<text class="tick" style="{color}" {place} y="{y - 7:.1f}">{escape(group.label)}</text>'


def _mean(places: Sequence[Place]) -> Place:
    return sum(x for x, _ in places) / len(places), sum(y for _, y in places) / len(places)
