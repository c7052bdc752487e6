"""The page holds what the run holds, escaped, in one file."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from report_parts import ALARM, EVALUATION, METRICS, SAMPLES, page, stage

from rlhf_core.report.charts import Flag, Series, line_chart, number, ticks, x_ticks
from rlhf_core.report.comparison import compare, same_prompts
from rlhf_core.report.content import ComparisonContent, EvaluationContent, Gain, PageContent, StageContent
from rlhf_core.report.curves import by_step, curve, quantile, quantiles, smooth, thin
from rlhf_core.report.explanations import charts_for
from rlhf_core.report.histograms import BINS, histogram, shares
from rlhf_core.report.page import render, render_comparison
from rlhf_core.report.questions import evaluation_answer, price_of_score, sampled_gain
from rlhf_core.report.samples import evaluation_pairs, mark_changes, spread, training_pairs
from rlhf_core.report.sections import spread_charts


def test_page_is_self_contained_and_escapes_what_users_and_models_wrote() -> None:
    html = page()
    assert not re.search(r'(src|href)="(?!#|data:,)', html)
    assert "<b>dough</b>" not in html
    assert "&lt;b&gt;dough&lt;/b&gt;" in html
    assert "<title>run &lt;one&gt;</title>" in html


def test_page_shows_alarms_curves_frontier_samples_evaluation_and_configuration() -> None:
    html = page()
    for title in ("Loss", "Score", "KL to the reference", "Reward against KL", "Clip fraction", "puns/length"):
        assert f"<h3>{title}</h3>" in html
    assert "0.3 … 0.5" in html
    assert '<td class="better">real: better</td>' in html
    assert "seed: 0" in html
    assert "b0b" in html
    assert html.index(ALARM["mend"]) < html.index("Evaluation of ppo against sft</h2>")


def test_a_comparison_shows_settings_that_differ_curves_of_all_and_the_same_prompts() -> None:
    html = render_comparison(
        ComparisonContent(
            title="a · b",
            runs=[stage("a"), stage("b")],
            settings={"trainer.beta": ["0.1", "0.2"]},
            evaluations=[EVALUATION.summary, []],
        )
    )
    assert '<td>trainer.beta</td><td class="value">0.1</td><td class="value">0.2</td>' in html
    assert "0.42 (0.3 … 0.5)" in html
    assert "<b>dough</b>" not in html
    charts = {
        chart.title: chart for chart in compare(ComparisonContent(title="", runs=[stage("a"), stage("b")])).charts
    }
    assert [one.label for one in charts["Loss"].legend] == ["a", "a, held out", "b", "b, held out"]
    assert [one.color for one in charts["Loss"].legend] == [0, 0, 1, 1]


def test_prompts_of_one_run_alone_are_not_compared() -> None:
    other = [{**row, "prompt": "elsewhere"} for row in SAMPLES if row["record_id"] == "b"]
    rows = same_prompts([stage("a"), StageContent(name="b", algo="", status="", samples=[*SAMPLES[2:3], *other])])
    assert [(row.prompt, row.scores) for row in rows] == [("p", [2.0, 2.0])]


def test_samples_are_paired_by_prompt_first_against_last_largest_gain_first() -> None:
    pairs = training_pairs(SAMPLES)
    assert pairs is not None
    assert [(pair.prompt, pair.gain("score")) for pair in pairs.shown] == [("p", 2.0), ("q", 0.0)]
    assert [pair.changed for pair in pairs.shown] == [pytest.approx(3 / 7), 0.0]  # 2 of 3 + 4 words are matched twice
    assert json.loads(pairs.shown[0].json(["score"])) == {"score": [0.0, 2.0]}
    assert training_pairs(SAMPLES[:2]) is None


def test_an_evaluations_texts_are_the_first_answers_of_both_sides() -> None:
    pairs = evaluation_pairs(EVALUATION.rows, run="ppo", baseline="sft", numbers=["puns/length", "absent"])
    assert [(pair.before, pair.after) for pair in pairs.shown] == [("old text", "new text")]
    assert pairs.numbers == ["puns/length"]
    assert pairs.shown[0].gain("puns/length") == 2.0


def test_words_that_one_side_lacks_are_marked_on_the_other() -> None:
    before, after = mark_changes("the baker left <i>", "the tall baker <i>")
    assert (str(before), str(after)) == ("the baker <del>left</del> &lt;i&gt;", "the <ins>tall</ins> baker &lt;i&gt;")


def test_a_page_of_many_pairs_holds_some_over_the_whole_range_and_says_so() -> None:
    assert spread(range(1001), 5) == [0, 250, 500, 750, 1000]
    samples = [
        {"step": step, "record_id": str(i), "prompt": f"p{i}", "completion": "x", "score": float(step * i)}
        for step in (0, 1) for i in range(300)
    ]  # fmt: skip
    pairs = training_pairs(samples)
    assert pairs is not None
    assert (len(pairs.shown), pairs.total) == (200, 300)
    assert (pairs.shown[0].gain("score"), pairs.shown[-1].gain("score")) == (299.0, 0.0)


def test_unknown_metrics_get_a_chart_of_their_own_and_bookkeeping_and_errors_none() -> None:
    names = ["step", "seconds", "zeta", "loss", "loss_se"]
    assert [chart.metrics for chart in charts_for(names)] == [("loss",), ("zeta",)]


def test_a_band_is_196_standard_errors_of_the_mean_that_is_drawn() -> None:
    rows = [{"step": s, "split": "train", "score": 1.0, "score_se": 0.5} for s in range(60)]
    few, many = (curve(part, "train", "score", "score", 0) for part in (rows[:3], rows))
    assert few is not None
    assert few.band == [(s, pytest.approx(1.0 - 0.98), pytest.approx(1.98)) for s in range(3)]
    assert many is not None  # a moving mean of two independent batches
    assert many.band[-1] == (59, pytest.approx(1.0 - 0.98 / 2**0.5), pytest.approx(1.0 + 0.98 / 2**0.5))


def test_quantiles_of_samples_lie_between_order_statistics() -> None:
    assert [quantile([4.0, 1.0, 2.0, 3.0, 5.0], share) for share in (0.0, 0.1, 0.5, 1.0)] == [1.0, 1.4, 3.0, 5.0]
    found = quantiles(by_step(SAMPLES, "score"))
    assert found is not None
    assert found.points == [(0.0, 0.5), (2.0, 1.5)]
    assert found.band[0] == (0.0, pytest.approx(0.1), pytest.approx(0.9))


def test_single_held_out_rows_are_drawn_by_their_quantiles_and_first_against_last() -> None:
    rows = [
        {"step": step, "record_id": str(i), "loss": 0.7 - 0.01 * step * i, "score": float(i)}
        for step in (0, 2) for i in range(11)
    ]  # fmt: skip
    charts = {chart.title: chart for chart in spread_charts(stage(samples=SAMPLES, held_out=rows))}
    # The samples' own scores are a few of these, so they are not drawn again.
    assert list(charts) == [
        "Loss of single rows", "Loss of single rows, first and last", "Score of single rows",
        "Score of single rows, first and last", "Words of the samples",
    ]  # fmt: skip
    (line,) = charts["Loss of single rows"].legend
    assert line.points == [(0.0, pytest.approx(0.7)), (2.0, pytest.approx(0.6))]
    assert line.band[1] == (2.0, pytest.approx(0.52), pytest.approx(0.68))
    assert [one.label for one in charts["Loss of single rows, first and last"].legend] == ["step 2", "step 0"]
    assert [chart.title for chart in spread_charts(stage(samples=SAMPLES))] == [
        "Scores of the samples",
        "Words of the samples",
    ]


def test_a_long_curve_is_thinned_to_means_of_neighbours() -> None:
    assert thin([(float(x), float(x)) for x in range(6)], most=3) == [(0.5, 0.5), (2.5, 2.5), (4.5, 4.5)]
    assert len(thin([(float(x), 0.0) for x in range(10_000)])) <= 300


def test_points_that_are_not_finite_are_left_out() -> None:
    svg = line_chart([Series("a", [(0, 1.0), (1, float("nan")), (2, 3.0)])], x_label="step")
    assert svg.count("<circle") == 2
    assert "nan" not in svg
    assert line_chart([Series("a", [(0, float("inf"))])], x_label="step") == ""


def test_a_single_point_and_a_constant_line_are_drawn() -> None:
    assert line_chart([Series("a", [(0, 0.0)])], x_label="step").count("<circle") == 1
    assert "<polyline" in line_chart([Series("a", [(0, 5.0), (1, 5.0)])], x_label="step")


def test_alarms_stand_on_the_curve_at_their_step() -> None:
    svg = line_chart([Series("a", [(0, 0.0), (10, 1.0)])], x_label="step", flags=[Flag(5, "b<ad"), Flag(99, "later")])
    assert svg.count('class="flag"') == 1
    # Halfway between the margins of the axes: 58 + (460 - 12 - 58) / 2, less what the padded range shifts (0 is kept).
    assert "b&lt;ad" in svg
    assert f'x1="{58 + 5 / 10.5 * 390:.1f}"' in svg


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0.0, 10.0) == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert number(0.00001234) == "1e-5"
    assert number(1234.5) == "1234"


def test_smoothing_is_the_mean_of_the_last_points() -> None:
    assert smooth([(0, 2.0), (1, 4.0), (2, 6.0)], window=2) == [(0, 2.0), (1, 3.0), (2, 5.0)]


def test_shares_count_everything_strays_at_the_edge() -> None:
    found = shares([0.0, 0.0, 1.0, 99.0, float("nan")], 0.0, 1.0)
    assert (found[0], found[-1], len(found), sum(found)) == (0.5, 0.5, BINS, 1.0)


def test_one_stray_number_flattens_no_histogram() -> None:
    svg = histogram([*(float(i) for i in range(200)), 1e9], title="n")
    assert "1e9" not in svg
    assert histogram([3.0, 3.0], title="n") == ""


def test_a_difference_is_real_where_its_interval_leaves_zero_out() -> None:
    answer = evaluation_answer(EVALUATION)
    assert answer is not None
    assert answer.text == "Real and better: puns/pun +0.22 (0.1 … 0.3); not distinguishable: 1 of 2."
    assert evaluation_answer(EvaluationContent(name="x", summary=[{**EVALUATION.summary[0], "conclusion": ""}])) is None
    real, unclear = (sampled_gain(Gain(value=0.4, low=low, high=0.9, prompts=12)) for low in (0.1, -0.1))
    assert "+0.4 (95 % interval 0.1 … 0.9), first against last: real" in real
    assert "not distinguishable" in unclear


def test_kl_that_buys_nothing_is_told() -> None:
    def path(*points: tuple[float, float]) -> str:
        # k3 leaps where a token is odd; the exact KL beside it is what counts.
        return price_of_score(
            [{"split": "validation", "kl_exact": kl, "kl_k3": 9 * kl, "score": score} for kl, score in points]
        )

    assert "+1 in the first half, -0.5 in the second): the later KL bought nothing" in path((0, 0), (2, 1), (5, 0.5))
    assert "still rising" in path((0, 0), (2, 1), (5, 2))
    assert "hardly moved" in path((0, 0), (0.01, 0.1), (0.02, 0))
    assert path((0, 0), (2, 1)) == ""


def test_metrics_of_the_head_carry_their_error() -> None:
    from rlhf_core.report.sections import headline

    rows = [{"split": "validation", "score": 1.0}, {"split": "validation", "score": 2.0, "score_se": 0.5}]
    assert headline(rows) == [("score", "1", "2 ± 0.98")]
    assert [row for row in headline(METRICS) if row[0] == "loss"] == [("loss", "0.7", "0.6")]


def test_ticks_below_a_chart_are_places_of_the_data() -> None:
    assert x_ticks([0.0]) == [0.0]
    assert x_ticks([0.0, 2.0]) == [0.0, 1.0, 2.0]
    assert x_ticks([0.0, 0.5, 1.2]) == [0.0, 0.5, 1.0]
    svg = line_chart([Series("a", [(0, 1.0)])], x_label="step")
    assert svg.count('text-anchor="middle"') == 1


def test_p_and_q_stand_beside_a_difference_and_q_only_where_several_runs_were_compared() -> None:
    row = {**EVALUATION.summary[0], "p": 0.0123}
    alone = render(PageContent(title="t", stages=[], evaluations=[replace(EVALUATION, summary=[row])]))
    assert '<td class="n">0.0123</td>' in alone
    assert '<th class="n">q</th>' not in alone
    several = render(
        PageContent(title="t", stages=[], evaluations=[replace(EVALUATION, summary=[{**row, "q": 0.0246}])])
    )
    assert '<td class="n">0.0123</td><td class="n">0.0246</td>' in several
