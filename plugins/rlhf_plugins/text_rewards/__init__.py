"""Rewards that read the text alone: parts for a weighted sum."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="reward",
        name="word-count",
        summary="0 for a text of the wanted number of words, down to -1 the further it is from that",
        target="rlhf_plugins.text_rewards.rewards:WordCount",
        options="rlhf_plugins.text_rewards.options:WordCountOptions",
    )
    yield Component(
        kind="reward",
        name="repetition",
        summary="Minus the share of word n-grams that a text repeats: 0 where nothing is repeated, down to -1",
        target="rlhf_plugins.text_rewards.rewards:Repetition",
        options="rlhf_plugins.text_rewards.options:RepetitionOptions",
    )
