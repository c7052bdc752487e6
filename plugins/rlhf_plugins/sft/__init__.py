"""Supervised fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterator[Component]:
    yield Component(
        kind="trainer",
        name="sft",
        summary="Supervised fine-tuning: imitate completions, the loss on completion tokens alone",
        target="rlhf_plugins.sft.trainer:SFT",
        options="rlhf_core.contract.options:NoOptions",
    )
