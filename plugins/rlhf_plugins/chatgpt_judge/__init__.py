"""A judge of puns behind any OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="judge",
        name="chatgpt",
        summary="Pun judge on the OpenAI API or any compatible server: compares two completions or grades one",
        target="rlhf_plugins.chatgpt_judge.judge:ChatGPTJudge",
        options="rlhf_plugins.chatgpt_judge.options:ChatGPTOptions",
    )
