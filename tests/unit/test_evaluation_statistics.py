"""Intervals against values worked out by hand, published tables and their own coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlhf_core.evaluation.statistics import (
    clustered_mean,
    jackknife,
    over_seeds,
    paired_difference,
    wilson,
    win_rate,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_equals_the_published_table(successes: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, Statistics in Medicine 17, table I, method 3."""
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_refuses_what_is_no_proportion() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="n > 0"):
        wilson(0, 0)


def test_two_prompts_give_the_interval_of_their_four_resamples() -> None:
    """Prompt a: 1 and 3; prompt b: 5. Resamples give 2 (¼), 3 (½) and 5 (¼), so the percentiles are the ends."""
    found = clustered_mean([1.0, 3.0, 5.0], ["a", "a", "b"])
    assert (found.value, found.low, found.high, found.n, found.prompts) == (3.0, 2.0, 5.0, 3, 2)


def test_copies_of_a_completion_do_not_make_the_interval_narrower() -> None:
    values, groups = [0.0, 1.0, 0.0, 1.0, 1.0], ["a", "b", "c", "d", "e"]
    once = clustered_mean(values, groups, seed=3)
    often = clustered_mean(values * 50, groups * 50, seed=3)
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    assert once.high is not None
    assert once.low is not None
    assert once.high - once.low > 0.5


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """40 prompts of 3 alike completions each: an interval that took 120 independent ones would cover only ~75 %."""
    random = np.random.default_rng(0)
    covered = 0
    groups = [str(prompt) for prompt in range(40) for _ in range(3)]
    for seed in range(200):
        values = np.repeat(random.normal(size=40), 3) + 0.3 * random.normal(size=120)
        found = clustered_mean(values.tolist(), groups, seed=seed, resamples=300)
        covered += found.low is not None and found.high is not None and found.low <= 0.0 <= found.high
    assert 0.89 <= covered / 200 <= 0.99


def test_one_prompt_or_none_has_no_interval() -> None:
    one = clustered_mean([1.0, 2.0], ["a", "a"])
    assert (one.value, one.low, one.high, one.prompts) == (1.5, None, None, 1)
    assert clustered_mean([None], ["a"]).value is None
    assert not one.excludes(0.0)


def test_none_counts_nowhere() -> None:
    with_none = clustered_mean([1.0, None, 3.0, None], ["a", "a", "b", "c"], seed=1)
    assert with_none == clustered_mean([1.0, 3.0], ["a", "b"], seed=1)


def test_the_seed_alone_decides_the_interval() -> None:
    values, groups = list(np.random.default_rng(1).normal(size=30)), [str(i) for i in range(30)]
    assert clustered_mean(values, groups, seed=5) == clustered_mean(values, groups, seed=5)
    assert clustered_mean(values, groups, seed=5).low != clustered_mean(values, groups, seed=6).low


def test_the_paired_difference_cancels_what_prompts_have_in_common() -> None:
    """Prompts differ by up to 100, the runs by 1 or 2 on each: 1.5 with an interval inside [1, 2]."""
    groups = [str(prompt) for prompt in range(20)]
    baseline = [5.0 * prompt for prompt in range(20)]
    here = [value + 1.0 + prompt % 2 for prompt, value in enumerate(baseline)]
    found = paired_difference(here, groups, baseline, groups)
    assert found.value == pytest.approx(1.5)
    assert found.low is not None
    assert found.high is not None
    assert 1.0 < found.low < 1.5 < found.high < 2.0
    assert found.excludes(0.0)


def test_the_paired_difference_takes_only_prompts_that_both_have() -> None:
    found = paired_difference([1.0, 3.0, 9.0, None], ["a", "a", "b", "c"], [1.0, None, 7.0], ["a", "b", "c"])
    assert (found.value, found.n, found.prompts) == (1.0, 2, 1)


def test_equal_runs_are_not_told_apart() -> None:
    groups = [str(prompt) for prompt in range(10)]
    values = [float(prompt) for prompt in range(10)]
    found = paired_difference(values, groups, values, groups)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    assert not found.excludes(0.0)


def test_win_rate_counts_half_for_a_tie_and_nothing_without_a_verdict() -> None:
    found = win_rate([1.0, 0.5, 0.5, 0.0, 1.0, None], list("abcdef"))
    assert found.value == pytest.approx(3.0 / 5)
    assert found.n == 5
    with pytest.raises(ValueError, match=r"not 0\.7"):
        win_rate([0.7], ["a"])


def test_the_jackknife_of_a_mean_is_its_textbook_standard_error() -> None:
    values = [2.0, 4.0, 4.0, 5.0, 10.0]
    errors, _ = jackknife(lambda which: {"mean": sum(values[i] for i in which) / len(which)}, list("abcde"))
    assert errors["mean"] == pytest.approx(np.std(values, ddof=1) / math.sqrt(5))


def test_the_jackknife_of_a_difference_leaves_out_the_same_prompt_on_both_sides() -> None:
    """The baseline is the run minus 1 everywhere: the difference of the means cannot vary."""
    values = [2.0, 4.0, 9.0]

    def mean(shift: float):  # type: ignore[no-untyped-def]
        return lambda which: {"mean": sum(values[i] - shift for i in which) / len(which)}

    errors, differences = jackknife(mean(0.0), list("abc"), mean(1.0), list("abc"))
    assert errors["mean"] > 1.0
    assert differences["mean"] == pytest.approx(0.0, abs=1e-12)
    assert jackknife(mean(0.0), ["a", "a", "a"]) == ({}, {})


def test_the_interval_over_seeds_is_students() -> None:
    found = over_seeds([1.0, 2.0, 4.0])
    # s² = 7/3; half = 4.3027 √(7/9)
    assert found.value == pytest.approx(7 / 3)
    assert found.high - found.value == pytest.approx(3.79462, abs=1e-4)
    assert found.low == pytest.approx(2 * found.value - found.high)
    assert (over_seeds([2.0]).value, over_seeds([2.0]).low) == (2.0, None)
    assert over_seeds([]).value is None


def test_a_share_of_nothing_has_a_width_and_a_measure_of_nothing_has_none() -> None:
    groups = [str(prompt) for prompt in range(20)]
    share = clustered_mean([0.0] * 20, groups, share=True)
    assert (share.low, share.high) == pytest.approx(wilson(0, 20))
    assert clustered_mean([0.0] * 40, groups * 2, share=True).high == share.high
    ties = clustered_mean([0.5] * 20, groups, share=True)
    assert (ties.low, ties.high) == pytest.approx(wilson(10, 20))
    measure = clustered_mean([0.0] * 20, groups)
    assert (measure.low, measure.high) == (0.0, 0.0)
