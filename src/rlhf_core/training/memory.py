"""How much memory there is, and how much of it a forward pass keeps for the backward pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `rlhf doctor` asks for memory where torch may be what is broken
    import torch
    from torch import Tensor

_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> tuple[int | None, int | None]:
    """(total, free) bytes of the machine, within the limit that a container may set; None where it does not say."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text("ascii").splitlines())
        total, free = (int(lines[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError):
        return None, None
    try:
        limit = int((_CGROUP / "memory.max").read_text("ascii"))
        used = int((_CGROUP / "memory.current").read_text("ascii"))
    except (OSError, ValueError):  # no limit is written as "max"
        return total, free
    return min(total, limit), min(free, max(0, limit - used))


def free_memory(device: torch.device) -> int | None:
    """Bytes that tensors on ``device`` may still take; None where the system does not say."""
    if device.type == "cuda":
        import torch

        reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + reusable
    return available_memory()[1]


@dataclass
class Kept:
    """Bytes that were kept for a backward pass, each storage once, weights not counted."""

    size: int = 0


@contextmanager
def counting_kept(weights: Iterable[Tensor]) -> Iterator[Kept]:
    """What graphs that are built in here keep. Exact and the same on every device: nothing is timed or sampled."""
    import torch

    kept = Kept()
    seen = {weight.untyped_storage().data_ptr() for weight in weights}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            kept.size += storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept
