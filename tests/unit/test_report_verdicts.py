"""A judge's verdicts on the page and in exports: what counts as what, what comes first, and that text stays text."""

from __future__ import annotations

import csv
import io
import re

import pytest
from report_parts import graded, judged

from rlhf_core.report.content import PageContent
from rlhf_core.report.exports import to_csv, to_markdown
from rlhf_core.report.grades import grades_of
from rlhf_core.report.intervals import Interval, interval_chart
from rlhf_core.report.page import render
from rlhf_core.report.sections import win_rates
from rlhf_core.report.verdicts import MOST_VERDICTS, verdicts_of

EVERY_KIND = judged(
    ("run", "run"), ("run", "baseline"), ("baseline", "baseline"), ("tie", "tie"), (None, "run"), ("run", "tie")
)


def test_a_win_needs_both_orders_and_an_unusable_reply_is_neither_a_loss_nor_a_tie() -> None:
    (found,) = verdicts_of(EVERY_KIND)
    results = {pair.prompt: (pair.result, pair.disagree) for pair in found.pairs}
    assert results == {
        "p0": ("win", False), "p1": ("tie", True), "p2": ("loss", False), "p3": ("tie", False),
        "p4": ("invalid", False), "p5": ("tie", True),
    }  # fmt: skip
    assert found.counts == {"win": 1, "loss": 1, "tie": 3, "invalid": 1, "disagree": 2}


def test_disagreements_come_first_and_stay_when_the_page_is_full() -> None:
    assert [pair.prompt for pair in verdicts_of(EVERY_KIND)[0].pairs] == ["p1", "p5", "p4", "p2", "p3", "p0"]
    (found,) = verdicts_of(judged(*[("run", "run")] * 900, *[("run", "baseline")] * 30))
    assert len(found.pairs) == 930
    assert len(found.shown) == MOST_VERDICTS
    assert [pair.disagree for pair in found.shown[:31]] == [True] * 30 + [False]


def test_an_evaluation_without_a_comparing_judge_has_no_verdicts() -> None:
    assert verdicts_of(judged()) == []


def test_win_rates_are_drawn_where_their_numbers_are() -> None:
    svg = interval_chart([Interval("w", 0.5, 0.25, 1.0)], neutral=0.5, title="t")
    middle = (170 + (460 - 140)) / 2  # the axis goes from the labels' end to the values' begin
    assert f'cx="{middle:.1f}"' in svg
    assert 'x1="207.5" x2="320.0"' in svg  # a quarter of 170 behind 170, and its end
    assert "w 0.5 (0.25 … 1)" in svg
    chart = win_rates(EVERY_KIND, "j")
    assert re.findall(r"<title>(.*?)</title>", str(chart.svg)) == ["win-rate: 0.75 (0.6 … 0.9)", "by-longest: 0.5"]


def test_the_page_shows_both_orders_their_reasons_and_the_warning() -> None:
    html = render(PageContent(title="t", stages=[], evaluations=[EVERY_KIND]))
    for text in ("first reason 1", "second reason 1", "Verdicts of j", "the orders disagree (2)", "<li>partial</li>"):
        assert text in html
    assert "<b>refused</b>" in html
    assert html.index("p1</td>") < html.index("p4</td>") < html.index("p0</td>")


def test_grades_stand_from_what_got_none_to_the_best_with_every_criterion() -> None:
    evaluation = graded((5.0, 2.0), "refused", (1.0, 4.0), (4.0, 1.0))
    (found,) = grades_of(evaluation)
    assert found.criteria == ["two_senses", "funny"]
    assert [(one.prompt, one.result, one.score) for one in found.all] == [
        ("p1", "refused", None), ("p2", "failed", 2.5), ("p3", "passed", 2.5), ("p0", "passed", 3.5),
    ]  # fmt: skip
    assert found.counts == {"invalid": 1, "failed": 1, "passed": 2, "run": 4}
    html = render(PageContent(title="t", stages=[], evaluations=[evaluation]))
    assert "Grades of j" in html
    assert html.index("own 1</td>") < html.index("own 2</td>") < html.index("own 0</td>")
    told = to_markdown(evaluation)
    assert told.index("**refused**") < told.index("**failed** 2.5") < told.index("two\\_senses 5, funny 2")
    assert grades_of(judged(("run", "run"))) == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_is_a_formula_and_every_text_comes_back(start: str) -> None:
    text = f'{start}HYPERLINK("http://x","y"),1\n2'
    rows = [{"of": "run", "completion": text, start: 1.5, "score": -0.5}, {"of": "run", "late": "=1"}]
    head, first, second = csv.reader(io.StringIO(to_csv(rows), newline=""))
    assert head == ["of", "completion", f"'{start}", "score", "late"]
    assert first == ["run", f"'{text}", "1.5", "-0.5", ""]
    assert second == ["run", "", "", "", "'=1"]


def test_a_separator_inside_a_text_opens_no_new_cell() -> None:
    written = to_csv([{"completion": "a;=1+1", "n": 3}])
    assert written == '"completion","n"\r\n"a;=1+1",3\r\n'


def test_markdown_tells_the_result_and_takes_no_markup_from_a_text() -> None:
    told = to_markdown(judged(("run", "baseline"), ("run", "run"), text="|<b>x</b>\n# [a](javascript:b) `c` **d**"))
    assert "| j/win\\-rate | 0.75 | 0.6 … 0.9 |" in told
    assert told.index("the orders disagree") < told.index("**win**")
    assert "own 0\\|&lt;b&gt;x&lt;/b&gt; \\# \\[a\\]\\(javascript\\:b\\) \\`c\\` \\*\\*d\\*\\*" in told
    assert not re.search(r"(?<!\\)[\[`<]|\*\*d", told)
