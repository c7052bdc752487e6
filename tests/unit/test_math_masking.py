"""Masks select; junk in the padding changes nothing."""

from __future__ import annotations

import pytest
import torch

from rlhf_core.contract.errors import ShapeError
from rlhf_core.math.masking import last_position, masked_mean, masked_sum, pad

MASK = torch.tensor([[True, True, False], [True, True, True]])


def test_nan_in_the_padding_reaches_neither_sum_nor_gradient() -> None:
    values = torch.tensor([[1.0, 2.0, float("nan")], [3.0, 4.0, 5.0]], requires_grad=True)
    total = masked_sum(values, MASK)
    total.backward()
    assert total.item() == 15.0
    assert values.grad is not None
    assert values.grad.tolist() == [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]


def test_mean_divides_by_real_tokens_not_by_cells() -> None:
    assert masked_mean(torch.tensor([[1.0, 2.0, 99.0], [3.0, 4.0, 5.0]]), MASK).item() == 3.0


def test_last_position_comes_from_lengths() -> None:
    assert last_position(MASK).tolist() == [1, 2]
    with pytest.raises(ValueError, match="without a real token"):
        last_position(torch.tensor([[False, False]]))


def test_shapes_that_do_not_fit_are_named_both() -> None:
    with pytest.raises(ShapeError, match=r"values has shape \(2, 2\), but mask has shape \(2, 3\)"):
        masked_sum(torch.zeros(2, 2), MASK)


def test_pad_is_to_the_right_with_zeros() -> None:
    assert pad([torch.tensor([1.0]), torch.tensor([2.0, 3.0])]).tolist() == [[1.0, 0.0], [2.0, 3.0]]
