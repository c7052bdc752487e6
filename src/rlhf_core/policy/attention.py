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
    if not query.is_cuda:
        return _row_by_row(query, key, value, layout.parts, scaling, dropout)[None], None
    if layout.spread is not None:
        query, key, value = (states.index_select(0, layout.spread) for states in (query, key, value))
    if query.dtype.itemsize < 4 and not dropout:
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


# The kernels: states [tokens, H, D] of one sequence after another to the like. Keys and values may have fewer heads
# than queries (grouped-query attention).


def _row_by_row(
    query: Tensor, key: Tensor, value: Tensor, parts: list[tuple[int, list[int]]], scale: float | None, dropout: float
) -> Tensor:
    """A call per completion: on a CPU a call costs microseconds, and padding the short to the long doubles the work.

    The first completion's call does the prompt, too; the others' queries are their own tokens alone.
    """
    pieces = [length for prompt, (first, *more) in parts for length in (prompt + first, *filter(None, more))]
    queries, keys, values = (iter(torch.split(states, pieces)) for states in (query, key, value))
    unseen = _unseen(parts).to(query.dtype)
    room = unseen.shape[1] - unseen.shape[0]
    outputs: list[Tensor] = []
    for prompt, (_, *more) in parts:
        first_key, first_value = next(keys), next(values)
        outputs.append(_attend(next(queries), first_key, first_value, scale, dropout))
        for length in filter(None, more):
            mask = unseen[:length, room - prompt : room + length]
            whole_key, whole_value = (
                torch.cat([first[:prompt], next(own)]) for first, own in ((first_key, keys), (first_value, values))
            )
            outputs.append(_attend(next(queries), whole_key, whole_value, scale, dropout, mask))
    return torch.cat(outputs)


def _unseen(parts: list[tuple[int, list[int]]]) -> Tensor:
    """``[C, P + C]`` of the longest prompt and completion whose prompt is another's, too: ``-inf`` at later tokens.

    The mask of any such completion is a piece of it, since row i sees all of the prompt and 1 + i of its own tokens.
    """
    shared = [(prompt, max(more)) for prompt, (_, *more) in parts if more]
    prompt, completion = (max(lengths) for lengths in zip(*shared, strict=True)) if shared else (0, 0)
    return torch.full((completion, prompt + completion), -torch.inf).triu_(prompt + 1)


def _padded(
    query: Tensor, key: Tensor, value: Tensor, lengths: list[int], scale: float | None, dropout: float
) -> Tensor:
    """One call for all: an accelerator waits for launches rather than for arithmetic. Filling comes last, unseen."""
    q, k, v = (pad_sequence(list(torch.split(states, lengths)), batch_first=True) for states in (query, key, value))
    output = _attend(q, k, v, scale, dropout)
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


def _attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float | None, dropout: float, mask: Tensor | None = None
) -> Tensor:
    """Causal, unless there is a mask. ``[T, H, D]`` each, or ``[B, T, H, D]``."""
    q, k, v = (states.view(-1, *states.shape[-3:]).transpose(1, 2) for states in (query, key, value))
    output = scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale, dropout_p=dropout,
        enable_gqa=q.shape[1] != k.shape[1],
    )  # fmt: skip
    return output.transpose(1, 2).reshape(query.shape)
