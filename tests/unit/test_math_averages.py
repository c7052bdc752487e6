"""Means that keep their standard error through sums."""

from __future__ import annotations

import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_core.math.averages import averages, reported

numbers = st.lists(st.floats(-50, 50), min_size=2, max_size=12)


def summed(*shares: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: sum(float(share[name]) for share in shares) for name in shares[0]}


def test_mean_and_standard_error_by_hand() -> None:
    """1, 2, 6: mean 3, deviations −2, −1, 3, so s² = 14 / 2 = 7 and the error √(7 / 3)."""
    found = reported(summed(averages({"score": torch.tensor([1.0, 2.0, 6.0])}, 3.0)))
    assert found == {"score": pytest.approx(3.0), "score_se": pytest.approx((7 / 3) ** 0.5)}


@settings(max_examples=50, deadline=None)
@given(values=numbers, cut=st.integers(0, 12), order=st.randoms())
def test_neither_split_nor_order_changes_mean_or_error(values: list[float], cut: int, order: object) -> None:
    shuffled = torch.tensor(sorted(values, key=lambda _: order.random()), dtype=torch.float64)  # type: ignore[attr-defined]
    parts = [part for part in (shuffled[:cut], shuffled[cut:]) if len(part)]
    found = reported(summed(*(averages({"x": part}, float(len(values))) for part in parts)))
    assert found["x"] == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert found["x_se"] == pytest.approx(statistics.stdev(values) / len(values) ** 0.5, abs=1e-5)


def test_completions_of_one_prompt_count_as_one() -> None:
    """Two prompts whose three completions agree are two observations, not six."""
    each = torch.tensor([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]])
    assert reported(summed(averages({"x": each}, 2.0))) == {"x": 2.0, "x_se": pytest.approx(1.0)}


def test_a_single_item_has_a_mean_and_no_error() -> None:
    assert reported(summed(averages({"x": torch.tensor([4.0])}, 1.0))) == {"x": 4.0}


def test_what_begins_with_an_underscore_is_not_written_and_everything_else_is() -> None:
    assert reported({"x": 1.0, "x_square": 9.0, "x_items": 3.0, "_own": 2.0}) == {
        "x": 1.0, "x_square": 9.0, "x_items": 3.0,
    }  # fmt: skip


def test_equal_numbers_have_no_spread_however_they_round() -> None:
    found = reported(summed(*(averages({"x": torch.full((3,), 0.1)}, 9.0) for _ in range(3))))
    assert found["x_se"] == pytest.approx(0.0, abs=1e-8)


def test_no_graph_is_kept() -> None:
    values = torch.ones(2, requires_grad=True)
    assert not any(share.requires_grad for share in averages({"x": values}, 2.0).values())
