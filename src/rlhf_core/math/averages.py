"""Means over independent items that keep their standard error through sums over micro-batches and ranks.

Nothing but sums passes between micro-batches and ranks. So beside a mean travel the mean of squares and the number of
items, under names that begin with an underscore; the standard error is taken when the sums are complete.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

PRIVATE = "_"
"""What a metric's name begins with that trainers see and nobody writes."""
ERROR = "_se"
"""What the name of a metric's standard error ends with."""


def averages(per_item: Mapping[str, Float[Tensor, "items *n"]], total: float) -> dict[str, Float[Tensor, ""]]:
    """A micro-batch's share of each mean over ``total`` items, and of what :func:`reported` needs for its error.

    Args:
        per_item: by metric, a number per item (row, pair, prompt), or one for each of an item's ``n`` completions:
            completions of one prompt are alike, so they are averaged first and count as one.
        total: items of the whole minibatch, over all ranks: ``Totals.rows``.
    Returns: by name, scalars to be summed: NAME, ``_NAME_square`` and ``_NAME_items``.
    """
    shares = {}
    for name, values in per_item.items():
        # float64: the variance is the difference of two means.
        items = values.detach().double().flatten(1).mean(1) if values.ndim > 1 else values.detach().double()
        shares[name] = items.sum() / total
        shares[f"{PRIVATE}{name}_square"] = items.square().sum() / total
        shares[f"{PRIVATE}{name}_items"] = items.new_tensor(float(len(items)))
    return shares


def reported(summed: Mapping[str, float]) -> dict[str, float]:
    """Complete sums as they are written: each mean followed by its standard error where there is one, nothing private.

    ``NAME_se`` is s / √N with the sample's standard deviation s (N − 1); a single item has none.
    """
    written: dict[str, float] = {}
    for name, mean in summed.items():
        if name.startswith(PRIVATE):
            continue
        written[name] = mean
        items = summed.get(f"{PRIVATE}{name}_items", 0.0)
        if items > 1:
            variance = summed[f"{PRIVATE}{name}_square"] - mean * mean
            written[name + ERROR] = math.sqrt(max(variance, 0.0) / (items - 1.0))
    return written
