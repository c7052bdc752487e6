"""Agreement against published and hand-computed values."""

from __future__ import annotations

import pytest

from rlhf_core.evaluation.agreement import (
    Value,
    cohen_kappa,
    interval,
    kendall,
    krippendorff_alpha,
    resampled,
    spearman,
)
from rlhf_core.evaluation.people import Figure, Rating, figures

# Krippendorff 2011, section C: four observers, twelve units, missing data.
OBSERVERS = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]


def units() -> list[list[Value]]:
    return [[float(value) for value in unit if value != "."] for unit in zip(*OBSERVERS, strict=True)]


def test_alpha_is_that_of_the_published_example() -> None:
    assert [len(observer) for observer in OBSERVERS] == [12] * 4
    assert krippendorff_alpha(units()) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(units(), interval) == pytest.approx(0.849, abs=5e-4)
    # Section A: two observers, binary, no missing data.
    assert krippendorff_alpha(list(zip("0100000010", "1110010000", strict=True))) == pytest.approx(0.095, abs=5e-4)


def test_alpha_is_one_at_full_agreement_and_undefined_without_any_difference() -> None:
    assert krippendorff_alpha([("a", "a"), ("b", "b")]) == 1.0
    assert krippendorff_alpha([("a", "a"), ("a", "a")]) is None
    assert krippendorff_alpha([("a",), ("b",)]) is None
    # Two units, always opposite: observed 1, expected 4 · 2 / (4 · 3) of pairs.
    assert krippendorff_alpha([("a", "b"), ("b", "a")]) == pytest.approx(1 - 1 / (8 / 12))


def test_kappa_by_hand() -> None:
    # 20 + 15 of 50 equal; chance .5 · .6 + .5 · .4.
    table = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert cohen_kappa(table) == pytest.approx((0.7 - 0.5) / 0.5)
    assert cohen_kappa([("y", "y")] * 3) is None
    assert cohen_kappa([]) is None


def test_rank_correlations_by_hand() -> None:
    # Ranks 1 2 3 4 5 against 2 1 3 4 5: Σd² = 2, ρ = 1 − 6 · 2 / (5 · 24); one of ten pairs is the other way round.
    swapped = list(zip((1.0, 2.0, 3.0, 4.0, 5.0), (20.0, 10.0, 30.0, 40.0, 50.0), strict=True))
    assert spearman(swapped) == pytest.approx(0.9)
    assert kendall(swapped) == pytest.approx((9 - 1) / 10)
    # A tie: τ-b = (concordant − discordant) / √(pairs untied here · pairs untied there) = (2 − 0) / √(3 · 2).
    assert kendall([(1.0, 1.0), (2.0, 1.0), (3.0, 2.0)]) == pytest.approx(2 / 6**0.5)
    # Ranks 1 2 3 against 1.5 1.5 3: Pearson's r of the ranks is 1.5 / √(2 · 1.5).
    assert spearman([(1.0, 1.0), (2.0, 1.0), (3.0, 2.0)]) == pytest.approx(1.5 / 3**0.5)
    assert spearman([(1.0, 2.0), (1.0, 3.0)]) is None
    assert kendall([]) is None


def test_intervals_resample_prompts_not_units() -> None:
    values = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0]

    def mean(indices: object) -> float:
        drawn = [values[index] for index in indices]  # type: ignore[attr-defined]
        return sum(drawn) / len(drawn)

    alone = resampled(mean, [str(i) for i in range(8)], seed=3)
    assert alone.value == 0.5
    assert alone.low is not None
    assert alone.high is not None
    assert (alone.low, alone.high, alone.n, alone.prompts) == (
        resampled(mean, [str(i) for i in range(8)], seed=3).low, alone.high, 8, 8,
    )  # fmt: skip
    # Each unit four times over says no more than once: the interval stays as wide as of eight prompts.
    values = values * 4
    fourfold = resampled(mean, [str(i % 8) for i in range(32)], seed=3)
    assert (fourfold.low, fourfold.high) == (alone.low, alone.high)
    assert resampled(mean, ["one"] * 32).low is None


def rating(item: str, rater: str, value: Value, first: Value | None = None) -> Rating:
    second = {"run": "baseline", "baseline": "run", None: None}[first]  # type: ignore[index]
    return Rating(item=item, rater=rater, value=value, group=item, first=first, second=second)


def by_name(found: list[Figure]) -> dict[str, Figure]:
    return {figure.name: figure for figure in found}


LABELS = [
    rating("1", "ana", "run", "run"), rating("2", "ana", "baseline", "baseline"), rating("3", "ana", "tie", "run"),
    rating("4", "ana", "run", "baseline"),
    rating("1", "bo", "run", "run"), rating("2", "bo", "run", "run"), rating("3", "bo", "tie", "run"),
    rating("1", "ana", "run", "baseline"), rating("2", "ana", "run", "run"),
    rating("1", "gpt", "run"), rating("2", "gpt", "baseline"), rating("3", "gpt", "run"), rating("4", "gpt", "run"),
]  # fmt: skip


def test_figures_of_people_by_hand() -> None:
    found = by_name(figures(LABELS, judges={"gpt"}, undecided={"tie"}))
    values = {name: figure.estimate.value for name, figure in found.items()}
    # Of seven answers that decide, five name the side shown first (ana 1, 2 and 2 again, bo 1 and 2).
    assert values["shown first wins"] == pytest.approx(5 / 7)
    # Ana was asked 1 and 2 again, and said the same of 1 alone.
    assert values["self-consistency"] == 0.5
    assert found["self-consistency"].estimate.n == 2
    # Items 1, 2 and 3 have two people: alike on 1 and 3; both decide on 1 and 2.
    assert values["agreement of people"] == pytest.approx(2 / 3)
    assert values["agreement of people, decided"] == 0.5
    # κ: observed 2/3; ana says each of three values once, bo run twice and tie once: chance 1/3 · 2/3 + 1/3 · 1/3.
    assert values["kappa of ana and bo"] == pytest.approx((2 / 3 - 1 / 3) / (2 / 3))
    # α: three units; totals run 3, tie 2, baseline 1; observed 2, expected (36 − 14) / 5.
    assert values["alpha of people"] == pytest.approx(1 - 2 / (22 / 5))


def test_a_judge_is_held_against_one_person_at_a_time_and_people_stand_beside() -> None:
    found = by_name(figures(LABELS, judges={"gpt"}, undecided={"tie"}))
    judge = found["agreement of gpt"]
    # Against ana alike on 1, 2, 4 of four; against bo on 1 of three. Repeats are no further votes.
    assert judge.estimate.value == pytest.approx(4 / 7)
    assert judge.estimate.n == 7
    assert judge.ceiling == found["agreement of people"].estimate
    assert found["agreement of gpt, decided"].estimate.value == pytest.approx(4 / 5)
    assert not any("ana and gpt" in name for name in found)


def test_a_judge_never_changes_what_people_are_told_of_themselves() -> None:
    people = [one for one in LABELS if one.rater != "gpt"]
    alone, beside = by_name(figures(people)), by_name(figures(LABELS, judges={"gpt"}))
    assert alone.items() <= beside.items()


def test_numbers_are_compared_as_numbers() -> None:
    near = [rating(str(i), rater, float(i + (rater == "bo"))) for i in range(5) for rater in ("ana", "bo")]
    # Never equal, so nominal agreement is none; yet close: the squared distances are 1 where chance expects more.
    found = by_name(figures(near))
    assert found["agreement of people"].estimate.value == 0.0
    alpha = found["alpha of people"].estimate.value
    assert alpha is not None
    # Values 0, 1, 1, 2, 2, 3, 3, 4, 4, 5: Σ over ordered pairs of (a − b)² is 2(10 · 85 − 25²) = 450. Observed: 5 · 2.
    assert alpha == pytest.approx(1 - 10 / (450 / 9))


def test_a_judge_on_another_scale_than_people_is_compared_by_rank_and_words_are_not() -> None:
    scales = {"ana": [1.0, 2.0, 3.0, 4.0, 5.0], "bo": [2.0, 1.0, 3.0, 4.0, 5.0], "gpt": [0.1, 0.2, 0.3, 0.4, 0.5]}
    ratings = [rating(str(i), rater, value) for rater, given in scales.items() for i, value in enumerate(given)]
    found = by_name(figures(ratings, judges={"gpt"}))
    assert found["agreement of gpt"].estimate.value == 0.0
    # Ana and bo are apart by one swap of five, and each counts against the other: ρ .9, and of the ten pairs of each
    # order one is discordant.
    assert found["spearman of people"].estimate.value == pytest.approx(0.9)
    assert found["spearman of gpt"].ceiling == found["spearman of people"].estimate
    # The judge against ana (ρ 1) and bo (ρ .9), each item twice with the same rank of the judge's: the mean of both.
    assert found["spearman of gpt"].estimate.value == pytest.approx(0.95)
    assert found["kendall of gpt"].ceiling == found["kendall of people"].estimate
    low, high = found["kendall of gpt"].estimate.low, found["kendall of gpt"].estimate.high
    assert low is not None
    assert high is not None
    assert low < found["kendall of gpt"].estimate.value < high
    assert not any("spearman" in figure.name for figure in figures(LABELS, judges={"gpt"}))
