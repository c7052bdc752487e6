"""What one core of this machine can do at best, in seconds of its own work: others may be on it, too.

OMP_NUM_THREADS=1 python benchmarks/performance/machine.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from workloads import WORKLOADS, Model

REPEATS = 30
COPIED = 2**26
"""float32 numbers, 256 MB: more than any cache holds."""


@dataclass(frozen=True)
class Machine:
    """Args: gflops: of float32 matrix products, by workload's model. read: bytes per second of weights read once."""

    gflops: dict[str, float]
    read: float


def measure() -> Machine:
    torch.set_num_threads(1)
    models = {workload.model: name for name, workload in reversed(WORKLOADS.items())}
    return Machine({name: matrix_products(model) for model, name in models.items()}, read_speed())


def matrix_products(model: Model) -> float:
    """1024 tokens through the MLP's first matrix, the largest product of a layer."""
    left, right = torch.randn(1024, model.width), torch.randn(model.width, 4 * model.width)
    out = torch.empty(1024, 4 * model.width)
    return 2 * left.numel() * right.shape[1] / least_seconds(lambda: torch.mm(left, right, out=out)) / 1e9


def read_speed() -> float:
    numbers = torch.randn(COPIED)
    return 4 * COPIED / least_seconds(numbers.sum)


def least_seconds(work: Callable[[], object]) -> float:
    """Of the process, over some repeats."""
    found = []
    for _ in range(REPEATS):
        before = time.process_time()
        work()
        found.append(time.process_time() - before)
    return min(found)


if __name__ == "__main__":
    machine = measure()
    for workload, speed in machine.gflops.items():
        print(f"{workload}: {speed:.0f} GFLOP/s in matrix products, one core, float32")
    print(f"{machine.read / 1e9:.1f} GB/s read")
