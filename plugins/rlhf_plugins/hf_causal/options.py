"""Options of the hf and hf-vllm backbones."""

from __future__ import annotations

from pydantic import Field

from rlhf_core.contract.pretrained import PretrainedOptions


class HFCausalOptions(PretrainedOptions):
    """Adapters on every linear layer but the output layer, unless ``lora.targets`` names others."""


class VLLMCausalOptions(HFCausalOptions):
    """As hf, and how vLLM shares the GPU with training."""

    gpu_memory_utilization: float = Field(default=0.3, gt=0, lt=1)
    """Share of the GPU's memory for vLLM's weights and cache; the rest is for training."""
    rollout_dtype: str = "bfloat16"
    """Precision of vLLM's weights: bfloat16, float16, float32."""
    enforce_eager: bool = False
    """Whether vLLM does without CUDA graphs: slower, quicker to start."""
