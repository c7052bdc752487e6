"""Offline text metrics: diversity, repetition, length, the signs of reward hacking, and what is copied."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="evaluator",
        name="text",
        summary="Diversity (distinct-n), repetition, compression, length, finished share, separators, unknown words",
        target="rlhf_plugins.text_metrics.evaluator:TextMetrics",
        options="rlhf_plugins.text_metrics.options:TextOptions",
    )
    yield Component(
        kind="evaluator",
        name="memorisation",
        summary="What stands word for word in the training texts: longest n-gram, highest Jaccard index (Broder 1997)",
        target="rlhf_plugins.text_metrics.memorisation:Memorisation",
        options="rlhf_plugins.text_metrics.options:MemorisationOptions",
    )
