"""What both sides of the comparison with TRL start from: the same small model, tokenizer and texts."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    set_seed,
)

from rlhf_core.contract.backbone import Trunk
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.trainer import TrainContext
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.options import TemplateOptions
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.training.reference import ReferenceLogprobs

EOS, PAD = 0, 64
STEPS, BATCH, RECORDS, LEARNING_RATE, CLIP_NORM = 24, 4, 24, 3e-3, 1.0
"""The records are gone through STEPS · BATCH / RECORDS times."""
LORA: Mapping[str, Any] = {
    "r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "target_modules": ["c_attn", "c_fc", "c_proj"],
    "fan_in_fan_out": True, "bias": "none",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Result:
    """What was compared, and by how much it differs at most."""

    what: str
    theirs: Sequence[float]
    ours: Sequence[float]

    @property
    def difference(self) -> float:
        return max(abs(a - b) for a, b in zip(self.theirs, self.ours, strict=True))

    def line(self) -> str:
        return f"| {self.what} | {len(self.ours)} | {self.ours[0]:.4f} | {self.ours[-1]:.4f} | {self.difference:.1e} |"


def flat(tensors: Iterable[Tensor]) -> list[float]:
    """All numbers, in order."""
    return [number for tensor in tensors for number in tensor.detach().flatten().tolist()]


def model_config(vocabulary: int = PAD + 1) -> GPT2Config:
    """Two layers, no dropout, weights large enough for contexts to matter."""
    return GPT2Config(
        vocab_size=vocabulary, n_positions=64, n_embd=32, n_layer=2, n_head=2, initializer_range=0.2,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, summary_first_dropout=0.0,
        bos_token_id=EOS, eos_token_id=EOS, pad_token_id=PAD, num_labels=1,
    )  # fmt: skip


def new_model(seed: int = 0, **config: int) -> GPT2LMHeadModel:
    set_seed(seed)
    return GPT2LMHeadModel(model_config(**config)).eval()


def new_classifier(body: GPT2LMHeadModel, seed: int = 0) -> GPT2ForSequenceClassification:
    """The same body under a random linear head."""
    set_seed(seed)
    model = GPT2ForSequenceClassification(body.config)
    model.transformer.load_state_dict(body.transformer.state_dict())
    return model.eval()


def new_tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({"<eos>": EOS, **{f"w{i}": i for i in range(1, PAD)}, "<pad>": PAD}, unk_token="w1"))
    words.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>", pad_token="<pad>", padding_side="left")


def new_policy(model: GPT2LMHeadModel, lora: Mapping[str, Any] | None = LORA) -> TrunkPolicy:
    tokenizer = new_tokenizer()
    template = TemplateOptions(prompt="{prompt}", completion=" {completion}")
    codec = TextCodec(tokenizer, template, context_length=64)
    settings = None if lora is None else {**lora, "task_type": "CAUSAL_LM"}
    trunk = Trunk(model=copy.deepcopy(model), tokenizer=tokenizer, lora=settings, adapter=None)
    return TrunkPolicy(trunk, codec, device=torch.device("cpu"))


def random_texts(count: int, words: tuple[int, int], seed: int) -> list[str]:
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(words[0], words[1] + 1, (count,), generator=draw).tolist()
    return [" ".join(f"w{i}" for i in torch.randint(1, PAD, (n,), generator=draw).tolist()) for n in lengths]


def context_of(policy: TrunkPolicy, **changes: Any) -> TrainContext:
    settings: dict[str, Any] = {
        "sampling": SamplingSpec(max_new_tokens=8), "reward": None, "score": None, "completions": None,
        "all_reduce": lambda tensor: tensor, "reference_logprobs": ReferenceLogprobs(policy),
    }  # fmt: skip
    return TrainContext(policy=policy, **(settings | changes))
