"""GPT-2 from a folder or the hub, its linear layers adapted.

GPT-2 keeps its weights in ``Conv1D`` layers, as (in, out): the adapters must be told (``fan_in_fan_out``), which the
base class sees to. Left out: positions and embeddings are never adapted, the output layer is the embedding.
"""

from __future__ import annotations

from transformers import PretrainedConfig, PreTrainedModel

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.pretrained import PretrainedBackbone

TARGETS = ["c_attn", "c_fc", "c_proj"]
"""Query, key and value in one; the MLP's first layer; the projections of attention and MLP, which share a name."""


class LoraGPT2(PretrainedBackbone):
    def check(self, config: PretrainedConfig, source: str) -> None:
        if config.model_type != "gpt2":
            raise RLHFError(
                f"model.backbone: lora-gpt2 takes GPT-2 models, but {source} is of type {config.model_type!r}; "
                "set model.backbone to hf"
            )

    def targets(self, model: PreTrainedModel) -> list[str]:
        return list(TARGETS)
