"""Whatever ``AutoModelForCausalLM`` loads: a saved model's own configuration says what it is."""

from __future__ import annotations

from rlhf_core.contract.pretrained import PretrainedBackbone


class HFCausal(PretrainedBackbone):
    """The base class as it is; models that reach back over a window or carry a state are scored padded."""
