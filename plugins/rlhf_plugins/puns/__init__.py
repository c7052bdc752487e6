"""Puns: the embedded data, a metric that nothing is trained on, and a simple reward."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="dataset",
        name="puns",
        summary="552 hand-written pun records and lines made from their 276 words (res/puns/README.md)",
        target="rlhf_plugins.puns.dataset:PunData",
        options="rlhf_plugins.puns.options:PunDataOptions",
    )
    yield Component(
        kind="evaluator",
        name="puns",
        summary="share of completions that are puns by a rule with cue lists of its own; nothing is trained on it",
        target="rlhf_plugins.puns.metric:PunMetric",
    )
    yield Component(
        kind="reward",
        name="pun",
        summary="a graded pun score in [0, 1] from the lexicon of res/puns; not the metric that is reported",
        target="rlhf_plugins.puns.reward:PunReward",
        options="rlhf_plugins.puns.options:PunRewardOptions",
    )
