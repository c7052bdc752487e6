"""Reward models: training one, and using one as a reward source or as a judge."""

from __future__ import annotations

from collections.abc import Iterator

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterator[Component]:
    yield Component(
        kind="trainer",
        name="reward",
        summary="A reward model from pairs (Bradley-Terry) or from labelled texts (two classes)",
        target="rlhf_plugins.reward_model.trainer:RewardModel",
        options="rlhf_plugins.reward_model.options:RewardModelOptions",
    )
    yield Component(
        kind="reward",
        name="reward-model",
        summary="The score of a trained reward model, with the model's own tokenizer and template",
        target="rlhf_plugins.reward_model.source:RewardModelScore",
        options="rlhf_plugins.reward_model.options:RewardModelScoreOptions",
    )
    yield Component(
        kind="judge",
        name="reward-model",
        summary="Compares two completions by the score of a trained reward model; free, offline, blind to the order",
        target="rlhf_plugins.reward_model.judge:RewardModelJudge",
        options="rlhf_plugins.reward_model.options:RewardModelJudgeOptions",
    )
