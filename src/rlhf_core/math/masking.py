"""Sums and means over real tokens only. Masked entries are *selected away*, never multiplied: ``0 * nan`` is nan."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..contract.errors import ShapeError


def require_same_shape(first_name: str, first: Tensor, second_name: str, second: Tensor) -> None:
    """Raises: ShapeError naming both arguments and both shapes."""
    if first.shape != second.shape:
        raise ShapeError(first_name, first.shape, second_name, second.shape)


def zero_masked(values: Float[Tensor, "batch completion"], mask: Bool[Tensor, "batch completion"]) -> Tensor:
    """``values`` with zeros where ``mask`` is False, whatever junk (NaN included) stood there."""
    require_same_shape("values", values, "mask", mask)
    return values.masked_fill(~mask, 0.0)


def masked_sum(values: Float[Tensor, "batch completion"], mask: Bool[Tensor, "batch completion"]) -> Float[Tensor, ""]:
    """Sum over real tokens; junk in the padding, NaN included, changes nothing."""
    return zero_masked(values, mask).sum()


def masked_mean(values: Float[Tensor, "batch completion"], mask: Bool[Tensor, "batch completion"]) -> Float[Tensor, ""]:
    """Mean over real tokens; NaN when there is none."""
    return masked_sum(values, mask) / mask.sum()


def pad(tensors: Sequence[Tensor]) -> Tensor:
    """Right-pad 1-D tensors of different lengths with zeros: ``[K, longest]``."""
    return torch.nn.utils.rnn.pad_sequence(list(tensors), batch_first=True)


def last_position(mask: Bool[Tensor, "batch completion"]) -> Int[Tensor, " batch"]:
    """Index of the last real token of each completion, from lengths and never from token ids.

    Raises: ValueError for a completion without a token.
    """
    lengths = mask.sum(dim=1)
    if bool((lengths == 0).any()):
        raise ValueError("a completion without a real token has no last position")
    return lengths - 1
