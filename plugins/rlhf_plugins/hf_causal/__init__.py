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
    yield Component(
        kind="backbone",
        name="hf-vllm",
        summary="as hf, with rollouts drawn by vLLM on the same GPU (pip install rlhf_core[vllm]); not yet run on one",
        target="rlhf_plugins.hf_causal.vllm:VLLMCausal",
        options="rlhf_plugins.hf_causal.options:VLLMCausalOptions",
        extras=("vllm",),
    )
