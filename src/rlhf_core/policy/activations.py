"""GELU in its tanh form, which GPT-2 and Gemma have, by an exponential: torch asks for a tanh, thrice as dear."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from transformers.activations import GELUTanh, NewGELUActivation

LINEAR: Final = 2.0 * math.sqrt(2.0 / math.pi)
CUBIC: Final = 0.044715 * LINEAR
CHUNK: Final = 2**17
"""Elements that are taken through all operations at once: they stay in the processor's own cache."""


def use_fast_gelu(model: nn.Module) -> None:
    """Replace transformers' two kinds of the tanh GELU: one is six operations in Python, both are slow on a CPU."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation | GELUTanh):
                setattr(module, name, FastGELU())


class FastGELU(nn.Module):
    """``x · (1 + tanh(v/2)) / 2 = x · σ(v)`` with ``v = 2 √(2/π) (x + 0.044715 x³)`` (Hendrycks and Gimpel 2016)."""

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.device.type != "cpu" or inputs.dtype != torch.float32:
            return functional.gelu(inputs, approximate="tanh")
        if torch.is_grad_enabled() and inputs.requires_grad:
            result: Tensor = _WithSlope.apply(inputs)  # type: ignore[no-untyped-call]
            return result
        return _gelu(inputs)


def _gelu(inputs: Tensor) -> Tensor:
    outputs = torch.empty_like(inputs, memory_format=torch.contiguous_format)
    linear = inputs.new_tensor(LINEAR)
    for x, out in zip(_chunks(inputs), _chunks(outputs), strict=True):
        torch.addcmul(linear, x, x, value=CUBIC, out=out).mul_(x).sigmoid_().mul_(x)
    return outputs


class _WithSlope(torch.autograd.Function):
    """Keeps the slope in place of the input: it takes the same room, and its exponential is there already."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        outputs, slopes = (torch.empty_like(inputs, memory_format=torch.contiguous_format) for _ in range(2))
        linear = inputs.new_tensor(LINEAR)
        for x, out, slope in zip(_chunks(inputs), _chunks(outputs), _chunks(slopes), strict=True):
            per_x = torch.addcmul(linear, x, x, value=CUBIC, out=slope)  # v / x
            sigma = (per_x * x).sigmoid_()
            torch.mul(x, sigma, out=out)
            # The slope is σ + out (1 − σ) dv/dx, and dv/dx = 3 v/x − 2 LINEAR.
            steepness = per_x.mul_(3.0).sub_(2.0 * LINEAR)
            steepness.mul_(torch.addcmul(out, out, sigma, value=-1.0)).add_(sigma)
        ctx.save_for_backward(slopes)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_outputs: Tensor) -> Tensor:
        slopes: Tensor = ctx.saved_tensors[0]
        return by_outputs * slopes


def _chunks(tensor: Tensor) -> tuple[Tensor, ...]:
    return torch.split(tensor.reshape(-1), CHUNK)
