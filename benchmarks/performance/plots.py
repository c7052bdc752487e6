"""Line charts as SVG files of their own, drawn by the report's chart code, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rlhf_core.report.charts import HEIGHT, WIDTH, Point, Series, line_chart

COLORS = ("#2458a6", "#b4531f")
STYLE = (
    "svg{background:#fff;font-family:system-ui,sans-serif}.grid{stroke:#d9dde3}.tick{font-size:10.5px;fill:#5d6570}"
    ".line{fill:none;stroke-width:1.8}"
    + "".join(f".line.s{i}{{stroke:{color}}}.dot.s{i}{{fill:{color}}}" for i, color in enumerate(COLORS))
)


def write_plot(path: Path, lines: Mapping[str, Sequence[Point]], *, x_label: str, y_label: str) -> None:
    """Lines by their names; a name stands at its line's end."""
    series = [Series(label, points, color=index) for index, (label, points) in enumerate(lines.items())]
    chart = line_chart(series, x_label=x_label, y_label=y_label, title=f"{y_label} by {x_label}")
    legend = "".join(
        f'<text x="{WIDTH // 2 + 60 * index}" y="13" font-size="11" fill="{COLORS[index]}">{label}</text>'
        for index, label in enumerate(lines)
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
    svg = chart.replace("<svg ", head, 1).replace(">", f"><style>{STYLE}</style>{legend}", 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg + "\n")
