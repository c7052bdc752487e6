"""What a policy leaves behind: weights that others load, and ``rlhf.json``, which says what they are.

Adapters: ``PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)``. Full models:
``AutoModelForCausalLM.from_pretrained(folder)``. The tokenizer is beside them in both cases.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from peft.tuners.lora import LoraLayer
from torch import Tensor
from transformers import PreTrainedModel

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.identity import FORMAT, IDENTITY_FILE
from rlhf_core.contract.records import JSON

if TYPE_CHECKING:
    from .policy import TrunkPolicy

LIBRARIES = ("rlhf_core", "torch", "transformers", "peft")


def plain_weights(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """A role's weights under transformers' names, tied ones once, while adapters are folded into them.

    Raises: RLHFError where adapters stand apart: in half precision folding would round them away.
    """
    if any(isinstance(module, LoraLayer) and not module.disable_adapters for module in model.modules()):
        raise RLHFError(
            f"model.backbone: its sampler needs whole weights, but adapters are not folded in {model.dtype}; "
            "load the model in float32 (training.precision may still be lower)"
        )
    for name, parameter in model.named_parameters():
        if ".lora_" not in name:
            yield name.replace(".base_layer.", "."), parameter.detach()


def save(policy: TrunkPolicy, folder: Path) -> None:
    """Roles (the policy at the root), heads, tokenizer, identity."""
    folder.mkdir(parents=True, exist_ok=True)
    places = policy.roles.save(folder)
    policy.heads.save(folder)
    policy.tokenizer.save_pretrained(folder)
    describe = getattr(policy.codec, "describe", None)
    identity: dict[str, JSON] = {
        "format": FORMAT,
        "base": policy.base,
        "roles": dict(places),
        "heads": dict(policy.heads.outputs()),
        "template": describe() if describe is not None else {},
        "versions": {name: version(name) for name in LIBRARIES},
    }
    (folder / IDENTITY_FILE).write_text(json.dumps(identity, indent=2) + "\n", "utf-8")
