"""A weighted sum of rewards."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="reward",
        name="weighted-sum",
        summary="A weighted sum of other rewards, each part logged by its name",
        target="rlhf_plugins.weighted_sum.reward:WeightedSum",
        options="rlhf_plugins.weighted_sum.options:WeightedSumOptions",
    )
