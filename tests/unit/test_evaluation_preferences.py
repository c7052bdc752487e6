"""Length control, Bradley–Terry, and how sure a difference is: against closed forms, published values and laws."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from rlhf_core.evaluation.preferences import RIDGE, Match, bradley_terry, length_controlled_win_rate, tally
from rlhf_core.evaluation.result import SummaryRow
from rlhf_core.evaluation.significance import (
    benjamini_hochberg,
    corrected,
    detectable_difference,
    neutral_p,
    paired_p,
    sign_flip_p,
)
from rlhf_core.evaluation.statistics import NOTHING, Estimate, clustered_mean


def sigma(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


# Length control


def test_at_equal_length_the_controlled_rate_is_the_rate() -> None:
    """Without a difference in length the fit is σ(θ) = (W + ½T)/N, pulled to ½ by the ridge alone."""
    outcomes = [1.0] * 70 + [0.5] * 10 + [0.0] * 20
    found = length_controlled_win_rate(outcomes, [9] * 100, [9] * 100)
    theta = math.log(found / (1 - found))  # type: ignore[operator]
    assert 100 * (sigma(theta) - 0.75) + 2 * RIDGE * theta == pytest.approx(0.0, abs=1e-3)
    assert found == pytest.approx(0.75, abs=1e-3)


def test_a_win_rate_that_is_all_length_becomes_a_half() -> None:
    """Verdicts drawn from σ(2 tanh Δ/s), longer on our side: .68 by counting, ½ with the length taken out."""
    random = np.random.default_rng(0)
    own, other = random.integers(40, 100, 4000), random.integers(20, 80, 4000)
    apart = (own - other).astype(float)
    won = random.random(4000) < 1 / (1 + np.exp(-2 * np.tanh(apart / apart.std())))
    outcomes = won.astype(float).tolist()
    assert float(np.mean(outcomes)) > 0.65
    assert length_controlled_win_rate(outcomes, own.tolist(), other.tolist()) == pytest.approx(0.5, abs=0.03)


def test_a_real_gain_outlasts_the_control() -> None:
    random = np.random.default_rng(1)
    apart = random.normal(size=4000) * 20
    won = random.random(4000) < 1 / (1 + np.exp(-(1.0 + 1.5 * np.tanh(apart / apart.std()))))
    found = length_controlled_win_rate(won.astype(float).tolist(), apart.round().astype(int).tolist(), [0] * 4000)
    assert found == pytest.approx(sigma(1.0), abs=0.03)


def test_swapping_the_sides_mirrors_the_controlled_rate_and_none_counts_nowhere() -> None:
    outcomes, own, other = [1.0, 0.0, 0.5, 1.0, None, 1.0], [5, 9, 4, 8, 99, 3], [7, 2, 4, 3, 1, 6]
    straight = length_controlled_win_rate(outcomes, own, other)
    mirrored = length_controlled_win_rate([None if o is None else 1 - o for o in outcomes], other, own)
    assert straight == pytest.approx(1 - mirrored, abs=1e-6)  # type: ignore[operator]
    assert straight == length_controlled_win_rate(outcomes[:4] + outcomes[5:], own[:4] + own[5:], other[:4] + other[5:])
    assert length_controlled_win_rate([None], [1], [2]) is None


# Bradley–Terry


def matches(first: str, second: str, wins: int, losses: int, ties: int = 0) -> list[Match]:
    outcomes = [1.0] * wins + [0.5] * ties + [0.0] * losses
    return [Match(first, second, str(number), outcome) for number, outcome in enumerate(outcomes)]


def test_two_runs_are_as_far_apart_as_the_log_odds_of_their_wins() -> None:
    strongest, weakest = bradley_terry(matches("a", "b", 300, 100), resamples=200)
    assert (strongest.name, weakest.name) == ("a", "b")
    apart = strongest.estimate.value - weakest.estimate.value  # type: ignore[operator]
    assert apart == pytest.approx(math.log(3), abs=2e-3)
    assert strongest.estimate.value == pytest.approx(-weakest.estimate.value)  # type: ignore[operator]
    assert strongest.win_rate.value == pytest.approx(0.75)
    assert strongest.estimate.low is not None
    assert strongest.estimate.low > 0.0
    # A bootstrap of a proportion: the standard error of its log-odds is 1/√(n p q) = .115, half of it on each side.
    half = (strongest.estimate.high - strongest.estimate.low) / 2  # type: ignore[operator]
    assert half == pytest.approx(1.96 * 0.1155 / 2, rel=0.2)


def test_consistent_odds_are_recovered_over_three_runs() -> None:
    """a beats b 2:1, b beats c 2:1, a beats c 4:1: strengths are ln 2 apart."""
    table = matches("a", "b", 200, 100) + matches("b", "c", 200, 100) + matches("a", "c", 240, 60)
    found = {one.name: one.estimate.value for one in bradley_terry(table, resamples=0)}
    assert [found[name] for name in "abc"] == pytest.approx([math.log(2), 0.0, -math.log(2)], abs=2e-3)


def test_a_tie_is_half_a_win_and_a_clean_sweep_stays_finite() -> None:
    ties = bradley_terry(matches("a", "b", 0, 0, ties=50), resamples=0)
    assert [one.estimate.value for one in ties] == pytest.approx([0.0, 0.0], abs=1e-6)
    sweep = bradley_terry(matches("a", "b", 30, 0), resamples=50)
    assert all(math.isfinite(bound) for one in sweep for bound in (one.estimate.low, one.estimate.high) if bound)
    assert tally(matches("a", "b", 3, 2, ties=1)) == {("a", "b"): (3, 1, 2)}


# How sure


def test_the_flip_test_equals_the_count_of_all_flips() -> None:
    """Six differences have 64 sign patterns; the random ones estimate that share."""
    values = [1.0, 2.0, -0.5, 3.0, 0.7, 1.1]
    sums = [abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in product((1, -1), repeat=6)]
    exact = np.mean([found >= abs(sum(values)) - 1e-12 for found in sums])
    assert sign_flip_p(values) == pytest.approx(exact, abs=0.01)
    assert sign_flip_p([0.0] * 5) == 1.0
    assert sign_flip_p([]) is None


def test_without_a_difference_p_is_below_five_percent_five_times_in_a_hundred() -> None:
    random = np.random.default_rng(2)
    small = [sign_flip_p(random.normal(size=30), flips=999) < 0.05 for _ in range(400)]  # type: ignore[operator]
    assert 0.02 <= float(np.mean(small)) <= 0.09


def test_p_values_go_by_prompts_and_not_by_completions() -> None:
    outcomes, groups = [1.0, 1.0, 1.0, 0.0], ["a", "b", "c", "d"]
    once = neutral_p(outcomes, groups, 0.5)
    assert once == pytest.approx(10 / 16, abs=0.02)
    assert neutral_p(outcomes * 40, groups * 40, 0.5) == once
    assert paired_p(outcomes, groups, [0.0] * 4, groups) == pytest.approx(2 / 8, abs=0.02)


def test_corrected_p_values_equal_those_of_the_paper() -> None:
    """Benjamini & Hochberg 1995, sec. 4.1: fifteen p-values, of which the first four are called at .05."""
    p_values = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
        0.7590, 1.0,
    ]  # fmt: skip
    q_values = benjamini_hochberg(p_values)
    assert [q < 0.05 for q in q_values] == [True] * 4 + [False] * 11
    assert q_values[3] == pytest.approx(0.0095 * 15 / 4)
    assert benjamini_hochberg([]) == []


def compared_row(p: float | None) -> dict[str, object]:
    """A metric on which the run is ahead of the baseline; without p nothing was compared."""
    apart = Estimate(0.3, 0.1, 0.5, 9, 9) if p is not None else NOTHING
    return SummaryRow(
        evaluator="m", metric="m", estimate=Estimate(0.8, 0.6, 0.9, 9, 9), better="higher", difference=apart, p=p
    ).to_json()


def test_a_difference_that_does_not_outlast_the_correction_is_not_called_one() -> None:
    found = corrected({name: [compared_row(p)] for name, p in zip("abcd", (0.04, 0.2, 0.001, None), strict=True)})
    assert [found[name][0]["conclusion"] for name in "abcd"] == [
        "not distinguishable", "not distinguishable", "better", "",
    ]  # fmt: skip
    assert [found[name][0]["q"] for name in "abcd"] == [pytest.approx(0.06), pytest.approx(0.2), 0.003, None]
    assert corrected({"a": [compared_row(0.04)]})["a"] == [compared_row(0.04)]


def test_a_correction_beside_other_runs_does_not_outlast_them() -> None:
    """An evaluation that is kept, and measured again beside fewer runs, is corrected for those alone."""
    beside_two = corrected({name: [compared_row(p)] for name, p in zip("abc", (0.04, 0.2, 0.001), strict=True)})
    assert beside_two["a"][0]["conclusion"] == "not distinguishable"
    assert corrected({"a": beside_two["a"], "c": beside_two["c"]})["a"][0]["q"] == pytest.approx(0.04)
    assert corrected({"a": beside_two["a"]})["a"] == [compared_row(0.04)]


def test_the_detectable_difference_is_found_four_times_in_five() -> None:
    random = np.random.default_rng(3)
    groups = [str(number) for number in range(50)]
    first = clustered_mean(random.normal(size=50).tolist(), groups)
    shift = detectable_difference(first)
    assert shift == pytest.approx(2.8 / math.sqrt(50), rel=0.25)
    found = [
        clustered_mean((random.normal(size=50) + 2.8016 / math.sqrt(50)).tolist(), groups, seed=seed, resamples=400)
        for seed in range(200)
    ]
    assert 0.7 <= float(np.mean([one.excludes(0.0) for one in found])) <= 0.9
    assert detectable_difference(Estimate(1.0, None, None, 1, 1)) is None
