"""Backbones: where a model and its tokenizer come from, and which of its weights a stage may train."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .records import JSON

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from .policy import SamplingSpec
    from .rows import Rollout, Row


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


class Sampler(Protocol):
    """Draws the policy's completions in place of core's own decoding: an inference engine with weights of its own."""

    def sample(
        self,
        rows: Sequence[Row],
        spec: SamplingSpec,
        *,
        seed: int,
        eos: int,
        context_length: int,
        weights: Callable[[], Iterator[tuple[str, torch.Tensor]]],
    ) -> list[Rollout]:
        """See :meth:`rlhf_core.contract.policy.Policy.sample`.

        Args:
            weights: what the role holds now, under transformers' names with adapters folded in; to be taken over
                before anything is drawn. Tied weights come once.

        Returns: logprobs of the tokens under what they were drawn from, ``spec.temperature`` included. Where they
            differ from those of scoring the gap is reported, and PPO corrects for it.
        """


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """A loaded model.

    Args:
        model: a plain causal LM of transformers, without adapters; all weights require no grad.
        tokenizer: as saved with the model.
        lora: keyword arguments of ``peft.LoraConfig``, targets resolved; None means full fine-tuning.
        adapter: the folder of the adapter to start from, when ``start`` held one.
        base: identity of the base: ``{"path": …, "revision": …, "sha256": …}``, written into every save.
        sampler: what draws completions; None for core's own decoding.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    lora: Mapping[str, Any] | None
    adapter: Path | None
    base: Mapping[str, JSON] = field(default_factory=dict)
    sampler: Sampler | None = None


class Backbone(Protocol):
    def load(self, context: LoadContext) -> Trunk: ...
