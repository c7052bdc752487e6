"""The losses on a pair: each with what it must be at the start, where policy and reference are the same model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from rlhf_core.math.losses import dpo_loss, hinge_dpo_loss, ipo_loss, robust_dpo_loss

from .options import DPOOptions

PairLoss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Logprobs of chosen and rejected, then the reference's; all ``[pairs]``."""


@dataclass(frozen=True)
class Objective:
    """A loss with its options filled in.

    Args:
        start: its value at a margin of zero.
        slope: by how much it moves there per nat of margin: what rounding of logprobs comes to.
    """

    loss: PairLoss
    start: float
    slope: float


def sigmoid(o: DPOOptions) -> Objective:
    smooth = partial(dpo_loss, beta=o.beta, label_smoothing=o.label_smoothing)
    return Objective(smooth, start=math.log(2), slope=o.beta * (0.5 - o.label_smoothing))


def ipo(o: DPOOptions) -> Objective:
    return Objective(partial(ipo_loss, beta=o.beta), start=1 / (4 * o.beta**2), slope=1 / o.beta)


def hinge(o: DPOOptions) -> Objective:
    return Objective(partial(hinge_dpo_loss, beta=o.beta), start=1.0, slope=o.beta)


def robust(o: DPOOptions) -> Objective:
    unbiased = partial(robust_dpo_loss, beta=o.beta, label_smoothing=o.label_smoothing)
    return Objective(unbiased, start=math.log(2), slope=o.beta / (2 - 4 * o.label_smoothing))


OBJECTIVES: Mapping[str, Callable[[DPOOptions], Objective]] = {
    "sigmoid": sigmoid, "ipo": ipo, "hinge": hinge, "robust": robust,
}  # fmt: skip
