"""Attention over sequences that lie one after another, each by itself: no padding, and no mask that says who is who.

transformers hands every attention of a model to a function that is registered by name; the layout travels to it as a
keyword of the model's ``forward``, so that there is no state between two passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence
from transformers import AttentionInterface, PreTrainedModel

from .layout import Layout, PackedLayout

PACKED_ATTENTION: Final = "rlhf_packed"


def packed_attention(
    _module: nn.Module, query: Tensor, key: Tensor, value: Tensor, _mask: Tensor | None, *,
    layout: PackedLayout, scaling: float | None = None, dropout: float = 0.0, **_: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Causal attention in each completion's own sequence. ``query``: ``[1, H, L, D]``; result: ``[1, L, H, D]``."""
    query, key, value = (states[0].transpose(0, 1) for states in (query, key, value))
    if layout.spread is not None:
        query, key, value = (states.index_select(0, layout.spread) for states in (query, key, value))
    if not query.is_cuda:
        output = _one_by_one(query, key, value, layout.lengths, scaling, dropout)
    elif query.dtype.itemsize < 4 and not dropout:
        output = _variable_length(query, key, value, layout.lengths, scaling)
    else:
        output = _padded(query, key, value, layout.lengths, scaling, dropout)
    return (output if layout.gather is None else output.index_select(0, layout.gather))[None], None


AttentionInterface.register(PACKED_ATTENTION, packed_attention)


@contextmanager
def attending(model: PreTrainedModel, layout: Layout) -> Iterator[None]:
    """A packed pass attends through :func:`packed_attention`, here only: decoding sees the model as it was."""
    if not isinstance(layout, PackedLayout):
        yield
        return
    usual = model.config._attn_implementation
    model.config._attn_implementation = PACKED_ATTENTION
    try:
        yield
    finally:
        model.config._attn_implementation = usual


# The kernels: states [S, H, D], of sequences of ``lengths`` one after another; result [S, H, D]. Keys and values may
# have fewer heads than queries (grouped-query attention).


def _one_by_one(
    query: Tensor, key: Tensor, value: Tensor, lengths: list[int], scale: float | None, dropout: float
) -> Tensor:
    """A call per sequence: on a CPU a call costs microseconds, and padding the short to the long doubles the work."""
    queries, keys, values = (
        torch.split(states.transpose(0, 1)[None], lengths, dim=2) for states in (query, key, value)
    )
    outputs = [_attend(q, k, v, scale, dropout)[0] for q, k, v in zip(queries, keys, values, strict=True)]
    return torch.cat(outputs, dim=1).transpose(0, 1)


def _padded(
    query: Tensor, key: Tensor, value: Tensor, lengths: list[int], scale: float | None, dropout: float
) -> Tensor:
    """One call for all: an accelerator waits for launches rather than for arithmetic. Filling comes last, unseen."""
    q, k, v = (
        pad_sequence(list(torch.split(states, lengths)), batch_first=True).transpose(1, 2)
        for states in (query, key, value)
    )
    output = _attend(q, k, v, scale, dropout).transpose(1, 2)
    return torch.cat([sequence[:length] for sequence, length in zip(output, lengths, strict=True)])


def _variable_length(query: Tensor, key: Tensor, value: Tensor, lengths: list[int], scale: float | None) -> Tensor:
    """One call without padding: flash attention, which CUDA has for half precision."""
    ends = torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32).to(query.device)
    longest = max(lengths)
    output: Tensor = varlen_attn(
        query, key, value, ends, ends, longest, longest, scale=scale, window_size=(-1, 0),
        enable_gqa=query.shape[1] != key.shape[1],
    )  # type: ignore[assignment]  # fmt: skip
    return output


def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float | None, dropout: float) -> Tensor:
    """``[B, H, T, D]`` each."""
    return scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=scale, dropout_p=dropout, enable_gqa=query.shape[1] != key.shape[1]
    )
