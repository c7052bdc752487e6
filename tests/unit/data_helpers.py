"""Files, tokenizers and short cuts that the tests of the data room share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.contract.records import Record
from rlhf_core.data.loading import Loaded, load_records
from rlhf_core.data.options import DataOptions

_ROOT = Path(__file__).parents[2]
SHARED = next((d for d in (_ROOT / "shared" / "data", _ROOT.parent / "shared" / "data") if d.is_dir()), None)

needs_shared = pytest.mark.skipif(SHARED is None, reason="no shared/data beside the project")


def shared(path: str) -> Path:
    assert SHARED is not None
    return SHARED / path


def write_lines(folder: Path, *rows: Any, name: str = "pairs.jsonl") -> Path:
    """A JSON lines file; rows that are text or bytes are written as they stand."""
    path = folder / name
    lines = [row if isinstance(row, bytes) else _line(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def _line(row: Any) -> str:
    return row if isinstance(row, str) else json.dumps(row)


def no_datasets(name: str, _options: Mapping[str, Any]) -> Any:
    raise AssertionError(f"the data set {name} was asked for")


def load(folder: Path, record_class: type[Record], split: Any = "train", **options: Any) -> Loaded[Any]:
    """``load_records`` with the options as a recipe has them; ``sources`` is pairs.jsonl unless it is named."""
    options.setdefault("sources", [{"path": "pairs.jsonl"}])
    parsed = DataOptions.model_validate(options)
    return load_records(parsed, record_class, split=split, folder=folder, open_dataset=no_datasets)


def byte_tokenizer(*, bos: bool = False) -> Any:
    """A real byte-level tokenizer without merges: token i is byte i of GPT-2's alphabet, then the special ones.

    With ``bos`` it adds ``<s>`` by itself, as Llama's does, and its EOS is another token.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: index for index, letter in enumerate(alphabet)} | {"</s>": 256, "<s>": 257}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    specials = {"eos_token": "</s>"} | ({"bos_token": "<s>"} if bos else {})
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, **specials)
    if bos:
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 257)]
        )
    return tokenizer
