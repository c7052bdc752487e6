"""Metrics that need a model: perplexity, KL to the base, and the score of a trained reward model."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="evaluator",
        name="perplexity",
        summary="Perplexity of the text under the base model, or under any other by path",
        target="rlhf_plugins.model_metrics.perplexity:Perplexity",
        options="rlhf_plugins.model_metrics.options:PerplexityOptions",
    )
    yield Component(
        kind="evaluator",
        name="kl",
        summary="KL to the base model: k1, k2, k3 on the sampled tokens, and exact (Schulman 2020); entropy beside it",
        target="rlhf_plugins.model_metrics.kl:KL",
        options="rlhf_plugins.model_metrics.options:KLOptions",
    )
    yield Component(
        kind="evaluator",
        name="reward-model",
        summary="Score by a trained reward model",
        target="rlhf_plugins.model_metrics.reward_model:RewardModelScore",
        options="rlhf_plugins.model_metrics.options:RewardModelScoreOptions",
    )
