"""A tokenizer that needs no training and no file: one token per byte."""

from __future__ import annotations

from typing import Final

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

END_OF_TEXT: Final = "<|endoftext|>"
VOCABULARY: Final = 257


def byte_tokenizer(context_length: int = 128) -> PreTrainedTokenizerFast:
    """256 byte tokens and ``<|endoftext|>`` (256), which begins and ends texts; any text comes back as it went in."""
    letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT, model_max_length=context_length,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
