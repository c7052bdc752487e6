"""What the Shakespeare recipe reads beside the text of the plays."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="dataset",
        name="shakespeare-sentiment",
        summary="Labelled passages (sample, sentiment) in three parts that share none: reward, judge, validation",
        target="rlhf_plugins.shakespeare.dataset:Sentiment",
        options="rlhf_plugins.shakespeare.options:SentimentOptions",
    )
    yield Component(
        kind="dataset",
        name="text-starts",
        summary="One prompt many times over, such as a line break: for a policy that writes text from nothing",
        target="rlhf_plugins.shakespeare.dataset:TextStarts",
        options="rlhf_plugins.shakespeare.options:TextStartsOptions",
    )
