"""Any causal language model of transformers."""

from __future__ import annotations

from collections.abc import Iterator

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterator[Component]:
    yield Component(
        kind="backbone",
        name="hf",
        summary="any causal language model of transformers (Llama, Qwen, Mistral …) with LoRA, or trained whole",
        target="rlhf_plugins.hf_causal.backbone:HFCausal",
        options="rlhf_plugins.hf_causal.options:HFCausalOptions",
    )
