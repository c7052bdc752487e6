"""Linear layers while decoding: weights as the matrix product reads them best, or in 8 bits, or rounded once.

A decoding step multiplies few rows by every weight, so that reading the weights is most of its time. oneDNN reads
weights that it has laid out itself about 1.3 (8 rows, a block's matrices) to 1.8 times as fast (GPT-2's output layer),
fbgemm reads 8-bit ones 3 to 4 times as fast. Under autocast every call would round all weights anew. The copies live
only as long as one call of ``sample``: laying out GPT-2 small takes some ten decoding steps, and the memory is free
again for training.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from rlhf_core.contract.policy import Precision

SMALLEST = 2**18
"""Weights of a matrix; below, oneDNN's own overhead is what it saves."""

Product: TypeAlias = Callable[[Tensor], Tensor]


@contextmanager
def quick_linears(model: PreTrainedModel, precision: Precision, *, rows: int) -> Iterator[None]:
    """For the time being, ``model``'s linear layers multiply with copies of their weights; ``rows`` at a time.

    Weights that are not float32 stay as they are; on a GPU all do without autocast. The parameters do in any case.
    """
    quick: list[nn.Module] = []
    try:
        for module in model.modules() if _copies_fit(model) else ():
            product = _product(module, precision, rows)
            if product is not None:
                module.forward = product
                quick.append(module)
        yield
    finally:
        for module in quick:
            del module.forward


def _copies_fit(model: PreTrainedModel) -> bool:
    """Whether a GPU keeps half of its free memory, for keys and values. What a CPU takes here it has in plenty."""
    weights = [module.weight for module in model.modules() if type(module) in (nn.Linear, Conv1D)]
    if not weights or not weights[0].is_cuda:
        return True
    free, _ = torch.cuda.mem_get_info(weights[0].device)
    copies: int = 2 * sum(weight.numel() for weight in weights)
    return 2 * copies < free


def _product(module: nn.Module, precision: Precision, rows: int) -> Product | None:
    """What takes the place of the module's forward pass; None where that is best left alone."""
    if type(module) not in (nn.Linear, Conv1D):
        return None
    weight: Tensor = module.weight.detach()  # type: ignore[operator]
    bias: Tensor | None = module.bias  # type: ignore[assignment]
    device = weight.device.type
    if weight.dtype != torch.float32:
        return None
    if torch.is_autocast_enabled(device):
        return _rounded(_out_by_in(module, weight), bias, torch.get_autocast_dtype(device))
    if device != "cpu":
        return None
    if precision == "int8":
        return _in_int8(_out_by_in(module, weight), bias)
    if weight.numel() < SMALLEST or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    packed = lay_out(_out_by_in(module, weight), rows)
    return lambda states: torch.ops.mkldnn._linear_pointwise(states, packed, bias, "none", [], "")


def lay_out(weight: Tensor, rows: int) -> Tensor:
    """In oneDNN's own order for so many rows at a time; other numbers of rows come out right as well."""
    return torch.ops.mkldnn._reorder_linear_weight(weight, rows)  # type: ignore[no-any-return]


def _rounded(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Product:
    """What autocast makes of a linear layer."""
    weight, bias = weight.to(dtype), None if bias is None else bias.to(dtype)
    return lambda states: functional.linear(states.to(dtype), weight, bias)


def _in_int8(weight: Tensor, bias: Tensor | None) -> Product:
    """Symmetric, one scale per output; activations are quantised per call, each by its own range."""
    scales = weight.abs().amax(1).clamp(min=1e-12).double() / 127
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own plans to move quantisation elsewhere
        quantised = torch.quantize_per_channel(weight, scales, torch.zeros_like(scales).long(), 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(quantised, bias)
    # reduce_range: 7 bits of activation, since processors without VNNI add pairs of products in 16 bits.
    return lambda states: torch.ops.quantized.linear_dynamic(states.contiguous(), packed, True)


def _out_by_in(module: nn.Module, weight: Tensor) -> Tensor:
    return weight.t().contiguous() if type(module) is Conv1D else weight
