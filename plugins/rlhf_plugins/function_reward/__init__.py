"""Any Python function as a reward."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="reward",
        name="python",
        summary="A Python function: (prompt, completion) -> float, or (completions) -> list of floats",
        target="rlhf_plugins.function_reward.reward:FunctionReward",
        options="rlhf_plugins.function_reward.options:FunctionOptions",
    )
