"""The sweep's page: the frontier drawn to scale, settings in order, text escaped."""

from __future__ import annotations

import re

import pytest

from rlhf_core.report.frontier import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, Group, frontier_chart
from rlhf_core.report.sweep import (
    PointContent,
    Sample,
    SweepContent,
    kl_name,
    metric_names,
    render_sweep,
    sample_columns,
    sample_rows,
)


def point(setting: str, seed: int, kl: float, score: float, text: str = "words") -> PointContent:
    answer = Sample(key="r", prompt="p", before="before", after=text, scores={"judge/score": score})
    return PointContent(
        setting=setting, seed=seed, status="finished", folder=f"runs/{setting}", path=[(0.0, 0.1), (kl, score)],
        metrics={"length": 3.0, "judge/score": score / 2, "kl/exact": kl}, samples=[answer],
        alarms=[{"name": "over-optimisation", "step": 4, "says": "reward up, text <down>"}] if kl > 10 else [],
    )  # fmt: skip


def row(setting: str, *points: PointContent) -> dict[str, object]:
    names = points[0].metrics
    means = {name: sum(p.metrics[name] for p in points) / len(points) for name in names}
    metrics = {name: {"mean": mean, "low": None, "high": None, "n": len(points)} for name, mean in means.items()}
    return {"setting": setting, "values": {}, "seeds": len(points), "metrics": metrics}


LOOSE = [point("beta 0.02", 0, 20.0, 0.9, "<b>joy</b>"), point("beta 0.02", 1, 30.0, 0.7)]
TIGHT = [point("beta 0.2", 0, 2.0, 0.3)]
TABLE = [row("beta 0.02", *LOOSE), row("beta 0.2", *TIGHT)]
CONTENT = SweepContent(title="<name>", command="rlhf sweep", points=[*LOOSE, *TIGHT], table=TABLE, planned=4)


def test_scores_come_first_and_the_exact_kl_is_the_axis() -> None:
    assert metric_names(TABLE) == ["judge/score", "length", "kl/exact"]
    assert kl_name(TABLE) == "kl/exact"
    assert kl_name([{"metrics": {"ppo: kl_k1": 0, "ppo: kl_k3": 0}}]) == "ppo: kl_k3"
    assert kl_name([{"metrics": {"loss": 0}}]) is None


def test_samples_stand_in_the_order_of_kl_and_are_escaped() -> None:
    assert [column.setting for column in sample_columns(CONTENT)] == ["beta 0.2", "beta 0.02"]
    assert [[sample.after for sample in row] for row in sample_rows(sample_columns(CONTENT))] == [
        ["words", "<b>joy</b>"]
    ]
    page = render_sweep(CONTENT)
    assert "&lt;b&gt;joy&lt;/b&gt;" in page
    assert "<b>joy" not in page
    assert "text &lt;down&gt;" in page
    assert "<title>&lt;name&gt;</title>" in page
    assert "3 of 4 points are done" in page
    assert not re.search(r'(src|href)="(?!data:,)', page)


def test_a_setting_is_marked_at_the_mean_of_its_seeds_with_bars_that_span_them() -> None:
    svg = frontier_chart([Group("one", 0, [(1.0, 2.0), (3.0, 4.0)])], x_label="KL", y_label="score")
    seeds = [(float(x), float(y)) for x, y in re.findall(r'<circle class="line s0" cx="([\d.]+)" cy="([\d.]+)"', svg)]
    (mean,) = re.findall(r'class="dot s0" cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert len(seeds) == 2
    assert [float(at) for at in mean] == pytest.approx([(a + b) / 2 for a, b in zip(*seeds, strict=True)], abs=0.11)
    bars = re.findall(r'<line class="line s0" x1="([\d.]+)" x2="([\d.]+)" y1="([\d.]+)" y2="([\d.]+)"', svg)
    assert [float(bars[0][0]), float(bars[0][1])] == [seeds[0][0], seeds[1][0]]
    # KL 0 is the left edge, and the range ends a tenth behind the largest: 3.3.
    assert seeds[0][0] == pytest.approx(LEFT + 1.0 / 3.3 * (WIDTH - LEFT - RIGHT), abs=0.06)
    assert seeds[0][1] > seeds[1][1] > 0  # more score is higher up
    assert seeds[0][1] < HEIGHT - BOTTOM


def test_what_is_not_finite_is_left_out_and_nothing_makes_no_chart() -> None:
    svg = frontier_chart([Group("one", 0, [(1.0, 2.0), (float("nan"), 4.0)])], x_label="KL", y_label="score")
    assert "nan" not in svg
    assert svg.count("<circle") == 1
    assert frontier_chart([Group("one", 0, [(float("inf"), 1.0)])], x_label="KL", y_label="score") == ""
