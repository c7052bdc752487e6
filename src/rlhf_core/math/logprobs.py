"""Log-probabilities of tokens under logits."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor

from .masking import zero_masked


def token_logprobs(
    logits: Float[Tensor, "*tokens vocabulary"], tokens: Int[Tensor, "*tokens"]
) -> Float[Tensor, "*tokens"]:
    """log p(token) under softmax(logits), nats; in float32 at least, so that bfloat16 logits do not lose it."""
    logits = logits.float() if logits.dtype.itemsize < 4 else logits
    return logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)


def entropy(logits: Float[Tensor, "*tokens vocabulary"]) -> Float[Tensor, "*tokens"]:
    """Entropy of softmax(logits), nats, in [0, ln vocabulary]."""
    logprobs = (logits.float() if logits.dtype.itemsize < 4 else logits).log_softmax(-1)
    return -(logprobs.exp() * logprobs).sum(-1)


def sequence_logprobs(
    logprobs: Float[Tensor, "batch completion"], mask: Bool[Tensor, "batch completion"]
) -> Float[Tensor, " batch"]:
    """log p(completion | prompt): the sum over its real tokens, EOS included."""
    return zero_masked(logprobs, mask).sum(dim=1)


def mean_logprobs(
    logprobs: Float[Tensor, "batch completion"], mask: Bool[Tensor, "batch completion"]
) -> Float[Tensor, " batch"]:
    """log p(completion | prompt) over its number of real tokens, EOS included: nats per token."""
    return sequence_logprobs(logprobs, mask) / mask.sum(dim=1)
