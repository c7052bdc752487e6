"""A number per tensor that moves with every bit of it, for weights too large to be kept twice."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

_AS_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@torch.no_grad()
def checksums(tensors: Iterable[Tensor]) -> list[int]:
    """The sum of each tensor's bits read as integers, modulo 2⁶⁴: exact, in any order, in one transfer per device."""
    sums = [
        tensor.detach().contiguous().view(_AS_INTEGERS[tensor.element_size()]).sum(dtype=torch.int64)
        for tensor in tensors
    ]
    if len({value.device for value in sums}) > 1:
        return [int(value) for value in sums]
    return [int(value) for value in torch.stack(sums).tolist()] if sums else []
