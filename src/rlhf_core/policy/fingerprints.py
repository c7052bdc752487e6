"""What a network answers by, as one short name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor
from transformers import PretrainedConfig

_SAYS_NOTHING: Final = frozenset({"_name_or_path", "transformers_version", "_attn_implementation", "use_cache"})
"""Entries of a configuration that change no logit."""


def fingerprint(weights: Iterable[tuple[str, Tensor]], config: PretrainedConfig) -> str:
    """The same for the same weights (names, types, shapes and values) and configuration, wherever they lie."""
    digest = hashlib.blake2b(digest_size=16)
    told = {name: value for name, value in config.to_dict().items() if name not in _SAYS_NOTHING}
    digest.update(json.dumps(told, sort_keys=True, default=str).encode())
    for name, weight in weights:
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
