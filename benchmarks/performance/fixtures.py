"""Writes what a workload needs, offline and always the same: a model with random weights, its tokenizer, JSONL files.

A word is a token (`t17` is token 17), so text and tokens go over into each other exactly. ``start.safetensors`` holds
the weights that both sides begin with: LoRA's A at random and B at zero, and the head of reward models.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.utils import logging
from workloads import LORA_R, Model, Texts, Workload

PAD, EOS, UNKNOWN = 0, 1, 2
SEED = 0
LENGTHS = (1.2, 1.8)
"""Of the Beta distribution of completions' lengths."""

ROOT = Path(os.environ.get("RLHF_BENCH", "build/performance")).resolve()


def fixture(workload: Workload) -> Path:
    """The workload's folder; written now unless it is there."""
    folder = ROOT / f"{workload.name}-{_digest(workload)}"
    if not (folder / "done").exists():
        logging.disable_progress_bar()
        folder.mkdir(parents=True, exist_ok=True)
        write_model(workload.model, workload.texts, folder)
        write_texts(workload, folder)
        (folder / "done").touch()
    return folder


def _digest(workload: Workload) -> str:
    return hashlib.sha256(repr((workload.model, workload.texts)).encode()).hexdigest()[:8]


def write_model(model: Model, texts: Texts, folder: Path) -> None:
    torch.manual_seed(SEED)
    network = GPT2LMHeadModel(model_config(model))
    if texts.eos_every:
        make_eos_likely(network, 1 / texts.eos_every)
    network.save_pretrained(folder / "base")
    new_tokenizer(model).save_pretrained(folder / "base")
    start: dict[str, torch.Tensor] = {"score": torch.randn(1, model.width) * 0.02}
    for layer in range(model.layers):
        a = torch.empty(LORA_R, model.width)
        torch.nn.init.kaiming_uniform_(a, a=math.sqrt(5))
        start |= {f"{layer}.A": a, f"{layer}.B": torch.zeros(3 * model.width, LORA_R)}
    save_file(start, folder / "start.safetensors")


def model_config(model: Model) -> GPT2Config:
    return GPT2Config(
        n_layer=model.layers, n_embd=model.width, n_head=model.heads, vocab_size=model.vocabulary,
        n_positions=model.positions, bos_token_id=EOS, eos_token_id=EOS, pad_token_id=PAD,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, summary_first_dropout=0.0,
    )  # fmt: skip


@torch.no_grad()
def make_eos_likely(network: GPT2LMHeadModel, probability: float) -> None:
    """Give EOS about this probability at every position: a direction of its own in the last bias and its embedding."""
    vocabulary, width = network.transformer.wte.weight.shape
    logit = math.log((vocabulary - 1) * probability / (1 - probability))
    direction = torch.nn.functional.normalize(torch.randn(width), dim=0) * math.sqrt(logit)
    network.transformer.wte.weight[EOS] += direction
    network.transformer.ln_f.bias += direction


def new_tokenizer(model: Model) -> PreTrainedTokenizerFast:
    special = {"<pad>": PAD, "<eos>": EOS, "<unk>": UNKNOWN}
    words = {f"t{i}": i for i in range(len(special), model.vocabulary)}
    tokenizer = Tokenizer(WordLevel({**special, **words}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>",
        model_max_length=model.positions,
    )  # fmt: skip


def write_texts(workload: Workload, folder: Path) -> None:
    pairs = list(random_pairs(workload))
    tables: dict[str, list[dict[str, Any]]] = {
        "pairs": pairs,
        "demonstrations": [{"prompt": pair["prompt"], "completion": pair["chosen"]} for pair in pairs],
        "prompts": [{"prompt": pair["prompt"]} for pair in pairs],
    }
    for name, rows in tables.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def random_pairs(workload: Workload) -> Iterator[dict[str, str]]:
    draw = np.random.default_rng(SEED)
    texts, vocabulary = workload.texts, workload.model.vocabulary

    def words(count: int) -> str:
        return " ".join(f"t{i}" for i in draw.integers(UNKNOWN + 1, vocabulary, count))

    def completion() -> str:
        low, high = texts.completion
        return words(int(low + round((high - low) * draw.beta(*LENGTHS))) - 1)  # EOS is the last token

    for _ in range(texts.records):
        prompt = words(int(draw.integers(texts.prompt[0], texts.prompt[1] + 1)))
        yield {"prompt": prompt, "chosen": completion(), "rejected": completion()}


def read_table(folder: Path, name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
