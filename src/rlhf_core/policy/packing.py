"""One forward pass without padding, the prompt computed once; and with padding for models that cannot do that.

Only the attention needs to know (:mod:`.attention`): everything else in a transformer works token by token.
"""

from __future__ import annotations

import random
from typing import Final, Literal, TypeAlias

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.rows import Row
from rlhf_core.math.logprobs import token_logprobs

from .attention import attending
from .layout import Layout, PackedLayout, PaddedLayout, pack, pad
from .vocabulary import logits

LayoutName: TypeAlias = Literal["packed", "padded"]

PACKABLE: Final = frozenset(
    {"gpt2", "gpt_neox", "granite", "llama", "mistral", "olmo", "olmo2", "phi3", "qwen2", "qwen3", "smollm3"}
)
"""Model types whose attention is plain causal attention over all earlier tokens, and which pass keywords down to it."""

TOLERANCE: Final = 1e-4
"""Largest |Δlogprob| of a right forward pass in float32."""
HALF_TOLERANCE: Final = 0.1
"""In bfloat16 and float16, which round more coarsely."""


def hidden_states(model: PreTrainedModel, layout: Layout) -> Tensor:
    """Last hidden states of all positions, ``[B·L, hidden]``, for the layout's flat indices.

    A packed layout takes a model that attends to it (:func:`.attention.attending`).
    """
    inputs = {"input_ids": layout.input_ids, "position_ids": layout.position_ids, "use_cache": False}
    if isinstance(layout, PackedLayout):
        output = model.base_model(**inputs, layout=layout)
    else:
        assert isinstance(layout, PaddedLayout)
        output = model.base_model(**inputs, attention_mask=layout.attention_mask)
    states: Tensor = output.last_hidden_state
    return states.flatten(0, 1)


def lay_out(rows: list[Row], name: LayoutName, device: torch.device) -> Layout:
    return pack(rows, device) if name == "packed" else pad(rows, device)


@torch.no_grad()
def choose_layout(model: PreTrainedModel) -> LayoutName:
    """``packed`` where that is known to be right for the type of model and found right on random rows, else padded.

    Raises: RLHFError when not even the padded pass gives the model's own logprobs.
    """
    rows = _trial_rows(model.config.vocab_size, getattr(model.config, "max_position_embeddings", None) or 32)
    expected = torch.cat([_plain_logprobs(model, row) for row in rows])
    if is_packable(model) and _difference(model, rows, "packed", expected) < _tolerance(model):
        return "packed"
    difference = _difference(model, rows, "padded", expected)
    if not difference < _tolerance(model):
        raise RLHFError(
            f"model type {model.config.model_type!r} cannot be used: its logits are not its output layer on its last "
            f"hidden state (log-probabilities differ by {difference:.2g}); take a plain causal language model"
        )
    return "padded"


def is_packable(model: PreTrainedModel) -> bool:
    """Short random rows cannot show a sliding window, hence the question to the configuration."""
    config = model.config
    layer_types = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    return config.model_type in PACKABLE and not layer_types and window is None


def _tolerance(model: PreTrainedModel) -> float:
    return HALF_TOLERANCE if model.dtype.itemsize < 4 else TOLERANCE


def _trial_rows(vocabulary: int, context: int) -> list[Row]:
    """A pair with a shared prompt, and a row of other lengths."""
    draw = random.Random(0)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(vocabulary) for _ in range(max(1, min(count, context // 2))))

    pair = Row(record_id="trial", prompt=tokens(5), completions=(tokens(3), tokens(6)))
    return [pair, Row(record_id="trial", prompt=tokens(2), completions=(tokens(4),))]


def _plain_logprobs(model: PreTrainedModel, row: Row) -> Tensor:
    """Of all completions' tokens, from one call of the model as it is for each."""
    found = []
    for completion in row.completions:
        tokens = torch.tensor(row.prompt + completion, device=model.device)
        found.append(token_logprobs(model(input_ids=tokens[None]).logits[0, :-1], tokens[1:])[-len(completion) :])
    return torch.cat(found)


def _difference(model: PreTrainedModel, rows: list[Row], name: LayoutName, expected: Tensor) -> float:
    layout = lay_out(rows, name, model.device)
    with attending(model, layout):
        states = hidden_states(model, layout)[layout.sources]
    found = token_logprobs(logits(model, states), layout.targets)
    return float((found - expected).abs().max())
