"""Options of the from-scratch backbone."""

from __future__ import annotations

from pydantic import Field

from rlhf_core.contract.options import Options


class NewGPT2Options(Options):
    layers: int = Field(default=4, ge=1)
    """Transformer blocks."""

    width: int = Field(default=192, ge=8)
    """Size of the hidden state; a multiple of ``heads``."""

    heads: int = Field(default=6, ge=1)
    """Attention heads per block."""

    context: int = Field(default=64, ge=8)
    """Longest sequence in tokens, prompt and completion together."""

    vocabulary: int = Field(default=2048, ge=258)
    """Tokens of the byte-level BPE tokenizer: 256 bytes, one end-of-text, the rest merges learnt from the texts."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on embeddings, attention and residuals while training."""
