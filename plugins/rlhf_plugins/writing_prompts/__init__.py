"""Stories that readers have voted on."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="dataset",
        name="ranked-stories",
        summary="Stories with readers' scores (r/WritingPrompts) as pairs of one prompt, demonstrations or prompts",
        target="rlhf_plugins.writing_prompts.dataset:RankedStories",
        options="rlhf_plugins.writing_prompts.options:RankedStoriesOptions",
    )
