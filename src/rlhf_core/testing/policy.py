"""A real policy that is made in milliseconds: a random GPT-2 of two layers over bytes, with LoRA or trained whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from rlhf_core.contract.backbone import Trunk
from rlhf_core.contract.pretrained import quietly
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.options import TemplateOptions
from rlhf_core.policy.policy import TrunkPolicy

from .samples import LABELS
from .tokenizer import VOCABULARY, byte_tokenizer

CPU: Final = torch.device("cpu")
CONTEXT_LENGTH: Final = 128
TEMPLATE: Final = TemplateOptions(prompt="{prompt}\n", completion="{completion}")
LORA: Final[Mapping[str, Any]] = {
    "r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["c_attn", "c_fc", "c_proj"],
    "fan_in_fan_out": True, "bias": "none", "task_type": "CAUSAL_LM",
}  # fmt: skip


def tiny_policy(*, seed: int = 0, lora: bool = True, reward: bool = False) -> TrunkPolicy:
    """A policy whose ``"policy"`` and ``"reference"`` are the same random model; the same one for the same seed.

    Args:
        lora: adapters on a frozen trunk; False trains the whole model.
        reward: add the role ``"reward"`` with a head of that name and weights as if trained, for rewards that open one.
    """
    trunk = Trunk(
        model=_model(seed), tokenizer=byte_tokenizer(CONTEXT_LENGTH), lora=LORA if lora else None, adapter=None
    )
    codec = TextCodec(trunk.tokenizer, TEMPLATE, context_length=CONTEXT_LENGTH, labels=LABELS)
    policy = TrunkPolicy(trunk, codec, device=CPU, seed=seed)
    if reward:
        policy.train_role("reward")
        policy.add_head("reward")
        stir(policy)
    return policy


@torch.no_grad()
def stir(policy: TrunkPolicy, *, size: float = 0.05, seed: int = 1) -> None:
    """Move every trained weight a little, as training would: adapters and heads start at zero, where much is equal."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in policy.trained().values():
        parameter.add_(torch.randn(parameter.shape, generator=generator) * size)


def save_tiny_model(folder: Path, *, seed: int = 0) -> Path:
    """Write the plain model and its tokenizer as transformers does; what a backbone's ``path`` may point at."""
    with quietly():
        _model(seed).save_pretrained(folder)
    byte_tokenizer(CONTEXT_LENGTH).save_pretrained(folder)
    return folder


def _model(seed: int) -> PreTrainedModel:
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT_LENGTH, n_embd=32, n_layer=2, n_head=2,
        # Large enough for a token's probability to depend on what stands before it.
        initializer_range=0.2,
        bos_token_id=VOCABULARY - 1, eos_token_id=VOCABULARY - 1,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPT2LMHeadModel(config).eval()
