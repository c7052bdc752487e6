"""People as a judge."""

from __future__ import annotations

from collections.abc import Iterator

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterator[Component]:
    yield Component(
        kind="judge",
        name="human",
        summary="What people chose in `rlhf label`, as verdicts; a pair that nobody labelled has none",
        target="rlhf_plugins.human_judge.judge:HumanJudge",
        options="rlhf_plugins.human_judge.options:HumanJudgeOptions",
    )
