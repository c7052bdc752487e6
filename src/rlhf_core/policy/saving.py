"""What a policy leaves behind: weights that others load, and ``rlhf.json``, which says what they are.

Adapters: ``PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)``. Full models:
``AutoModelForCausalLM.from_pretrained(folder)``. The tokenizer is beside them in both cases.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from rlhf_core.contract.identity import FORMAT, IDENTITY_FILE
from rlhf_core.contract.records import JSON

if TYPE_CHECKING:
    from .policy import TrunkPolicy

LIBRARIES = ("rlhf_core", "torch", "transformers", "peft")


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
