"""Offline text metrics: diversity, repetition, length, and the signs of reward hacking."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="evaluator",
        name="text",
        summary="Diversity (distinct-n), repetition, length, finished share, separators, out-of-vocabulary rate",
        target="rlhf_plugins.text_metrics.evaluator:TextMetrics",
        options="rlhf_plugins.text_metrics.options:TextOptions",
    )
