"""Small real models and a naive scorer for the tests of the policy: one row, one plain call, no tricks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from rlhf_core.contract.backbone import Trunk
from rlhf_core.contract.records import Prompt, Record
from rlhf_core.contract.rows import Row, Tokens
from rlhf_core.policy.policy import TrunkPolicy

CPU = torch.device("cpu")
VOCABULARY = 64
EOS = 1
LORA: Mapping[str, Any] = {
    "r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["c_attn", "c_fc", "c_proj"],
    "fan_in_fan_out": True, "bias": "none", "task_type": "CAUSAL_LM",
}  # fmt: skip
ROWS = [
    Row(record_id="pair", prompt=(5, 6, 7, 8, 9), completions=((10, 11, EOS), (12, 13, 14, 15, EOS))),
    Row(record_id="single", prompt=(20,), completions=((21, 22),)),
    Row(record_id="group", prompt=(30, 31), completions=((32, EOS), (33, 34, 35), (36, EOS))),
]


class WordCodec:
    """Words ``w0``, ``w1`` … are tokens 0, 1 …"""

    eos = EOS

    def encode(self, record: Record) -> Row:
        raise NotImplementedError("the tests build rows themselves")

    def encode_prompt(self, prompt: Prompt) -> Tokens:
        return tuple(int(word[1:]) for word in str(prompt).split())

    def encode_completion(self, prompt: Prompt, completion: str, *, finished: bool = True) -> Row:
        tokens = self.encode_prompt(completion) + ((self.eos,) if finished else ())
        return Row(record_id="text", prompt=self.encode_prompt(prompt), completions=(tokens,))

    def decode(self, tokens: Tokens) -> str:
        return " ".join(f"w{token}" for token in tokens if token != self.eos)

    def describe(self) -> dict[str, Any]:
        return {"prompt": "{prompt}\n"}


def tiny_gpt2(seed: int = 0, **changes: Any) -> PreTrainedModel:
    """Two layers with weights large enough for logprobs to differ between contexts, dropout .5 in its configuration."""
    settings = {
        "vocab_size": VOCABULARY, "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 2, "initializer_range": 0.2,
        "bos_token_id": EOS, "eos_token_id": EOS, "attn_pdrop": 0.5, "resid_pdrop": 0.5, "embd_pdrop": 0.5,
    }  # fmt: skip
    torch.manual_seed(seed)
    return GPT2LMHeadModel(GPT2Config(**(settings | changes))).eval()


def tiny_llama(**changes: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    settings = {
        "vocab_size": VOCABULARY, "max_position_embeddings": 32, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 2, "bos_token_id": EOS, "eos_token_id": EOS,
    }  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**(settings | changes))).eval()


def tiny_grouped_llama() -> PreTrainedModel:
    """Four query heads on two of keys and values; weights large enough for logprobs to differ between contexts."""
    return tiny_llama(num_attention_heads=4, num_key_value_heads=2, initializer_range=0.2)


def tiny_neox() -> PreTrainedModel:
    """Of a type that decodes through transformers' own forward pass."""
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY, max_position_embeddings=32, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, initializer_range=0.2, bos_token_id=EOS, eos_token_id=EOS,
    )  # fmt: skip
    return GPTNeoXForCausalLM(config).eval()


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({f"w{i}": i for i in range(VOCABULARY)}, unk_token="w0"))
    words.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, eos_token=f"w{EOS}", model_max_length=32)


def trunk_of(model: PreTrainedModel, lora: Mapping[str, Any] | None = LORA, adapter: Path | None = None) -> Trunk:
    return Trunk(model=model, tokenizer=tiny_tokenizer(), lora=lora, adapter=adapter)


def tiny_policy(lora: Mapping[str, Any] | None = LORA, seed: int = 0, **changes: Any) -> TrunkPolicy:
    return TrunkPolicy(trunk_of(tiny_gpt2(**changes), lora), WordCodec(), device=CPU, seed=seed)


def stir(policy: TrunkPolicy, size: float = 0.1, seed: int = 7) -> None:
    """Move every trained weight, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.trained().values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * size)


def naive_logits(model: PreTrainedModel, prompt: Tokens, completion: Tokens) -> torch.Tensor:
    """``[tokens, vocabulary]``: what predicts each completion token, from one plain call."""
    ids = torch.tensor([prompt + completion])
    logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits[0]
    return logits[len(prompt) - 1 : -1]


def naive_logprobs(model: PreTrainedModel, row: Row, temperature: float = 1.0) -> list[torch.Tensor]:
    """Per completion, ``[tokens]``."""
    found = []
    for completion in row.completions:
        table = (naive_logits(model, row.prompt, completion) / temperature).log_softmax(-1)
        found.append(table[torch.arange(len(completion)), torch.tensor(completion)])
    return found


def shared_model(name: str) -> Path:
    folder = Path(__file__).parents[3] / "shared" / "data" / "models" / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not beside the project")
    return folder


def open_model(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
