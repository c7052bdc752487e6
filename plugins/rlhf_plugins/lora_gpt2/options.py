"""Options of the lora-gpt2 backbone."""

from __future__ import annotations

from rlhf_core.contract.pretrained import PretrainedOptions


class LoraGPT2Options(PretrainedOptions):
    """Adapters on c_attn, c_proj (attention and MLP) and c_fc, unless ``lora.targets`` names others."""
