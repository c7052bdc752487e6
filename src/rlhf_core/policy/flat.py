"""Forward passes of two families of transformers over flat tokens, ``[N, hidden]``, with nothing else around them.

Decoding computes one token per sample: at GPT-2's sizes and below, transformers' own forward pass spends as much time
in Python as in arithmetic. These are the same computations on the model's own weights, as the papers write them down.
What attends to what is left to the caller. :func:`rlhf_core.policy.runner_choice.choose_runner` compares each with
transformers' pass before it is used; every other architecture goes through transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, TypeAlias

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

Function: TypeAlias = Callable[[Tensor], Tensor]

Attend: TypeAlias = Callable[[int, Tensor, Tensor, Tensor, float], Tensor]
"""Layer, queries ``[N, heads, D]``, keys and values ``[N, kv heads, D]``, scale, to ``[N, heads · D]``."""


class Forward(Protocol):
    """Tokens and their positions, ``[N]``, to last hidden states ``[N, hidden]``."""

    def __call__(self, tokens: Tensor, positions: Tensor, attend: Attend) -> Tensor: ...


class GPT2:
    """GPT-2 (Radford et al. 2019): learned positions, norms before each half of a block, one projection for q, k, v."""

    def __init__(self, model: PreTrainedModel) -> None:
        trunk = model.base_model
        self.embed, self.embed_positions, self.norm = map(straight, (trunk.wte, trunk.wpe, trunk.ln_f))
        self.scales = [block.attn.scaling for block in trunk.h]
        self.head_dim = trunk.h[0].attn.head_dim
        self.blocks = [
            tuple(map(straight, (b.ln_1, b.attn.c_attn, b.attn.c_proj, b.ln_2, b.mlp.c_fc, b.mlp.act, b.mlp.c_proj)))
            for b in trunk.h
        ]

    def __call__(self, tokens: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        hidden = self.embed(tokens) + self.embed_positions(positions)
        for index, (norm, project, output, mlp_norm, up, activate, down) in enumerate(self.blocks):
            query, key, value = project(norm(hidden)).view(len(tokens), 3, -1, self.head_dim).unbind(1)
            hidden = hidden + output(attend(index, query, key, value, self.scales[index]))
            hidden = hidden + down(activate(up(mlp_norm(hidden))))
        return self.norm(hidden)


class Llama:
    """Llama (Touvron et al. 2023), Mistral, Qwen 2 and 3: rotated positions, gated MLP, heads that share keys."""

    def __init__(self, model: PreTrainedModel) -> None:
        trunk = model.base_model
        self.embed, self.norm, self.angles = straight(trunk.embed_tokens), straight(trunk.norm), trunk.rotary_emb
        self.attentions = [block.self_attn for block in trunk.layers]
        self.blocks = [
            (
                tuple(map(straight, (block.input_layernorm, a.q_proj, a.k_proj, a.v_proj, a.o_proj))),
                tuple(map(straight, (block.post_attention_layernorm, m.gate_proj, m.act_fn, m.up_proj, m.down_proj))),
            )
            for block in trunk.layers
            for a, m in ((block.self_attn, block.mlp),)
        ]

    def __call__(self, tokens: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        hidden = self.embed(tokens)
        cosine, sine = (part[0, :, None] for part in self.angles(hidden[None], positions[None]))
        for index, (attention, (norm, to_query, to_key, to_value, output)) in enumerate(
            zip(self.attentions, (first for first, _ in self.blocks), strict=True)
        ):
            normed = norm(hidden)
            query, key, value = (
                project(normed).view(len(tokens), -1, attention.head_dim) for project in (to_query, to_key, to_value)
            )
            if hasattr(attention, "q_norm"):  # Qwen 3
                query, key = attention.q_norm(query), attention.k_norm(key)
            query, key = (states * cosine + _turned(states) * sine for states in (query, key))
            hidden = hidden + output(attend(index, query, key, value, attention.scaling))
            mlp_norm, gate, activate, up, down = self.blocks[index][1]
            normed = mlp_norm(hidden)
            hidden = hidden + down(activate(gate(normed)) * up(normed))
        return self.norm(hidden)


def _turned(states: Tensor) -> Tensor:
    """By a quarter turn: dimensions i and i + D/2 are a plane."""
    first, second = states.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def straight(module: nn.Module) -> Function:
    """What the module computes, without what ``nn.Module`` does around it; the module itself where hooks wait for that.

    Weights are bound as they are now: not for use beyond one call of ``sample``.
    """
    if module._forward_hooks or module._forward_pre_hooks:
        return module
    if "forward" in vars(module):  # a quick linear layer
        return module.forward
    if isinstance(module, LoraLayer) and module.disable_adapters:  # folded into the weights
        return straight(module.get_base_layer())
    if type(module) is Conv1D:
        return partial(torch.addmm, module.bias, mat2=module.weight)
    if type(module) is nn.Linear:
        return partial(functional.linear, weight=module.weight, bias=module.bias)
    if type(module) is nn.LayerNorm:
        shape, weight, bias, eps = module.normalized_shape, module.weight, module.bias, module.eps
        return lambda states: torch.layer_norm(states, shape, weight, bias, eps)
    return module.forward


FORWARDS: Mapping[str, Callable[[PreTrainedModel], Forward]] = {
    "gpt2": GPT2, "llama": Llama, "mistral": Llama, "qwen2": Llama, "qwen3": Llama,
}  # fmt: skip
"""By ``model_type``."""
