"""Options of the hf backbone."""

from __future__ import annotations

from rlhf_core.contract.pretrained import PretrainedOptions


class HFCausalOptions(PretrainedOptions):
    """Adapters on every linear layer but the output layer, unless ``lora.targets`` names others."""
