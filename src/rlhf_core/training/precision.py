"""Where and in what arithmetic forward passes run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from ..contract.errors import RLHFError
from .options import Device, Precision


def choose_device(wanted: Device) -> torch.device:
    """Raises: RLHFError when CUDA is asked for and not there."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise RLHFError("training.device = cuda, but torch sees no CUDA device; use auto or cpu")
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


def choose_precision(wanted: Precision, device: torch.device) -> torch.dtype:
    """Raises: RLHFError when bfloat16 is asked for on a device that has no fast bfloat16."""
    able = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "bfloat16" and not able:
        raise RLHFError(f"training.precision = bfloat16, but the device {device} has none that is fast; use auto")
    return torch.float32 if wanted == "float32" or not able else torch.bfloat16


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[None]:
    """Matrix products in ``dtype``; weights, gradients and the optimizer stay float32, so no loss scaling is needed."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)
