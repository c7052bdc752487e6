"""A judge's grade as a reward."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="reward",
        name="judge",
        summary="The grade that a judge gives each completion",
        target="rlhf_plugins.judge_reward.reward:JudgeReward",
        options="rlhf_plugins.judge_reward.options:JudgeRewardOptions",
    )
