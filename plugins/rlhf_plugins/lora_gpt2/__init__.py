"""GPT-2 with LoRA."""

from __future__ import annotations

from collections.abc import Iterator

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterator[Component]:
    yield Component(
        kind="backbone",
        name="lora-gpt2",
        summary="GPT-2 of any size with LoRA adapters (Hu et al. 2021), or trained whole with lora: null",
        target="rlhf_plugins.lora_gpt2.backbone:LoraGPT2",
        options="rlhf_plugins.lora_gpt2.options:LoraGPT2Options",
    )
