"""Backbones: where a model and its tokenizer come from, and which of its weights a stage may train."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .records import JSON

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True)
class LoadContext:
    """What core tells a backbone.

    Args:
        path: ``model.path`` of the recipe: a folder (``res:`` names are resolved already) or a hub name.
        start: the folder of the policy that the stage continues from (a run's ``model/``), or None for the base.
        device, dtype: where and in what precision the trunk is to live.
        seed: for weights made from scratch and for fresh adapters.
        texts: for backbones that build a tokenizer from the data (pretrain): an iterator over the training texts.
    """

    path: str
    start: Path | None
    device: torch.device
    dtype: torch.dtype
    seed: int
    texts: Callable[[], Iterator[str]]


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """A loaded model.

    Args:
        model: a plain causal LM of transformers, without adapters; all weights require no grad.
        tokenizer: as saved with the model.
        lora: keyword arguments of ``peft.LoraConfig``, targets resolved; None means full fine-tuning.
        adapter: the folder of the adapter to start from, when ``start`` held one.
        base: identity of the base: ``{"path": …, "revision": …, "sha256": …}``, written into every save.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    lora: Mapping[str, Any] | None
    adapter: Path | None
    base: Mapping[str, JSON] = field(default_factory=dict)


class Backbone(Protocol):
    def load(self, context: LoadContext) -> Trunk: ...
