"""Pretraining of a small model of one's own."""

from __future__ import annotations

from collections.abc import Iterator

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterator[Component]:
    yield Component(
        kind="trainer",
        name="pretrain",
        summary="Next-token prediction on running text, all weights trained",
        target="rlhf_plugins.pretrain.trainer:Pretrain",
        options="rlhf_core.contract.options:NoOptions",
    )
    yield Component(
        kind="backbone",
        name="new-gpt2",
        summary="A small GPT-2 from scratch, its byte-level BPE tokenizer trained on the stage's texts",
        target="rlhf_plugins.pretrain.backbone:NewGPT2",
        options="rlhf_plugins.pretrain.options:NewGPT2Options",
    )
