"""Estimates with their intervals under each other on one axis, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .charts import WIDTH, number

ROW, LABEL, VALUE, TOP, BOTTOM = 22, 170, 140, 6, 18


@dataclass(frozen=True)
class Interval:
    """An estimate; ``low`` and ``high`` are None where it has no interval."""

    label: str
    value: float
    low: float | None
    high: float | None
    color: int = 0

    @property
    def words(self) -> str:
        """``0.62 (0.51 … 0.72)``."""
        span = "" if self.low is None or self.high is None else f" ({number(self.low)} … {number(self.high)})"
        return f"{number(self.value)}{span}"


def interval_chart(rows: Sequence[Interval], *, neutral: float, title: str) -> str:
    """An ``<svg>`` of shares between 0 and 1, a line at the value that favours neither side; empty without rows."""
    if not rows:
        return ""
    height = TOP + ROW * len(rows) + BOTTOM
    words = "; ".join(f"{row.label} {row.words}" for row in rows)
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(f"{title}: {words}")}">']
    for tick in (0.0, neutral, 1.0):
        x, bottom = _x(tick), height - BOTTOM
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 4}" text-anchor="middle">{number(tick)}</text>')
    for place, row in enumerate(rows):
        parts += _drawn(row, TOP + ROW * (place + 0.5))
    return "".join([*parts, "</svg>"])


def _drawn(row: Interval, y: float) -> list[str]:
    style = f"s{row.color}"
    parts = [f'<text class="tick" x="{LABEL - 8}" y="{y + 3.5:.1f}" text-anchor="end">{escape(row.label)}</text>']
    if row.low is not None and row.high is not None:
        low, high = _x(row.low), _x(row.high)
        parts.append(f'<line class="line {style}" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        for end in (low, high):
            parts.append(
                f'<line class="line {style}" x1="{end:.1f}" x2="{end:.1f}" y1="{y - 4:.1f}" y2="{y + 4:.1f}"/>'
            )
    parts.append(
        f'<circle class="dot {style}" cx="{_x(row.value):.1f}" cy="{y:.1f}" r="3.4">'
        f"<title>{escape(row.label)}: {row.words}</title></circle>"
    )
    parts.append(f'<text class="tick" x="{WIDTH - 4}" y="{y + 3.5:.1f}" text-anchor="end">{row.words}</text>')
    return parts


def _x(share: float) -> float:
    # An interval by normal approximation may leave [0, 1].
    return LABEL + min(1.0, max(0.0, share)) * (WIDTH - LABEL - VALUE)
