"""The KL of the policy to the reference, summed over the vocabulary, is never negative, and zero before any update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...contract.rows import Row
from .violation import violated

if TYPE_CHECKING:
    from ..context import TrainablePolicy

TOLERANCE = 1e-4
"""Nats per position: rounding of a sum over a large vocabulary."""


def require_kl(policy: TrainablePolicy, rows: Sequence[Row], *, fresh: bool) -> None:
    """On completions of ``rows``, of which there must be one.

    Args: fresh: nothing was trained yet, so the policy is the reference.
    Raises: TrainingStopped.
    """
    kl = policy.compare(rows).kl
    least, most = float(kl.min()), float(kl.max())
    if not least >= -TOLERANCE:
        raise violated(
            f"the exact KL to the reference is {least:.6g} nats at a position, and it cannot be below 0",
            means="what is summed are not two probability distributions over one vocabulary",
            cause="logits that are masked, truncated or NaN on one side",
        )
    if fresh and not most <= TOLERANCE:
        raise violated(
            f"before the first update the exact KL to the reference is {most:.6g} nats at a position, expected 0",
            means="the policy does not start as its reference, so every KL and every ratio to it is off",
            cause="the reference is another model or another adapter, or the trainer changed weights in prepare()",
        )
