"""The page holds what the run holds, escaped, in one file."""

from __future__ import annotations

import re

from rlhf_core.report.charts import Series, line_chart, number, smooth, ticks
from rlhf_core.report.comparison import mark_changes, pair_samples
from rlhf_core.report.content import EvaluationContent, PageContent, StageContent
from rlhf_core.report.explanations import charts_for
from rlhf_core.report.page import render

METRICS = [
    {"step": 0, "split": "validation", "loss": 0.7, "score": 0.1, "kl_k3": 0.0},
    {"step": 1, "split": "train", "loss": 0.69, "kl_k1": 0.01, "kl_k3": 0.02, "score": 0.2, "clip_fraction": 0.1},
    {"step": 2, "split": "train", "loss": 0.5, "kl_k1": 0.3, "kl_k3": 0.4, "score": 0.5, "clip_fraction": 0.2},
    {"step": 2, "split": "validation", "loss": 0.6, "score": 0.4, "kl_k3": 0.35},
]
SAMPLES = [
    {"step": 0, "record_id": "a", "prompt": "p", "completion": "the baker left", "score": 0.0},
    {"step": 0, "record_id": "b", "prompt": "q", "completion": "same line", "score": 1.0},
    {"step": 2, "record_id": "a", "prompt": "p", "completion": "the baker kneaded <b>dough</b>", "score": 2.0},
    {"step": 2, "record_id": "b", "prompt": "q", "completion": "same line", "score": 1.0},
]


def page() -> str:
    stage = StageContent(name="ppo", algo="ppo", status="finished", metrics=METRICS, samples=SAMPLES, config="seed: 0")
    evaluation = EvaluationContent(
        name="ppo",
        baseline="sft",
        summary=[
            {
                "name": "puns/pun", "mean": 0.42, "low": 0.3, "high": 0.5, "n": 80, "baseline_mean": 0.2,
                "difference": 0.22, "difference_low": 0.1, "difference_high": 0.3, "conclusion": "better",
            }
        ],
    )  # fmt: skip
    return render(PageContent(title="run <one>", stages=[stage], evaluations=[evaluation]))


def test_page_is_self_contained_and_escapes_what_users_and_models_wrote() -> None:
    html = page()
    assert not re.search(r'(src|href)="(?!#)', html)
    assert "<b>dough</b>" not in html
    assert "&lt;b&gt;dough&lt;/b&gt;" in html
    assert "<title>run &lt;one&gt;</title>" in html


def test_page_shows_curves_frontier_samples_evaluation_and_configuration() -> None:
    html = page()
    for title in ("Loss", "Score", "KL to the reference", "Reward against KL", "Clip fraction"):
        assert f"<h3>{title}</h3>" in html
    assert "0.3 … 0.5" in html
    assert '<td class="better">better</td>' in html
    assert "seed: 0" in html
    assert html.count("<svg") == 5


def test_samples_are_paired_by_prompt_first_against_last_largest_gain_first() -> None:
    pairs = pair_samples(SAMPLES)
    assert [(pair.prompt, pair.gain) for pair in pairs] == [("p", 2.0), ("q", 0.0)]
    assert pair_samples(SAMPLES[:2]) == []


def test_new_words_are_marked() -> None:
    assert str(mark_changes("the baker left", "the tall baker left")) == "the <mark>tall</mark> baker left"


def test_unknown_metrics_get_a_chart_of_their_own_and_bookkeeping_none() -> None:
    assert [chart.metrics for chart in charts_for(["step", "seconds", "zeta", "loss"])] == [("loss",), ("zeta",)]


def test_points_that_are_not_finite_are_left_out() -> None:
    svg = line_chart([Series("a", [(0, 1.0), (1, float("nan")), (2, 3.0)])], x_label="step")
    assert svg.count("<circle") == 2
    assert "nan" not in svg
    assert line_chart([Series("a", [(0, float("inf"))])], x_label="step") == ""


def test_a_single_point_and_a_constant_line_are_drawn() -> None:
    assert line_chart([Series("a", [(0, 0.0)])], x_label="step").count("<circle") == 1
    assert "<polyline" in line_chart([Series("a", [(0, 5.0), (1, 5.0)])], x_label="step")


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0.0, 10.0) == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert number(0.00001234) == "1e-5"
    assert number(1234.5) == "1234"


def test_smoothing_is_the_mean_of_the_last_points() -> None:
    assert smooth([(0, 2.0), (1, 4.0), (2, 6.0)], window=2) == [(0, 2.0), (1, 3.0), (2, 5.0)]
