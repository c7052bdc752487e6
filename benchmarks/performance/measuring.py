"""What one training of either side tells, as a line of JSON."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))


@dataclass(frozen=True)
class Moment:
    """Args: wall, cpu: seconds so far, the latter user and system of all threads since the process began.
    forwards, positions: passes through the model so far, and the positions in them, real ones and filling."""

    wall: float
    cpu: float
    forwards: int
    positions: int


class Watch:
    """Keeps the moments at which steps end, and counts what the model is given."""

    def __init__(self, model_class: Any, device: str) -> None:
        """Every call of ``model_class.forward`` is counted from here on."""
        self.device = device
        self.moments: list[Moment] = []
        self.losses: list[float] = []
        self.generated: list[float] = []
        self._forwards = self._positions = 0
        forward: Callable[..., Any] = model_class.forward

        def counted(model: Any, input_ids: Any = None, *arguments: Any, **keywords: Any) -> Any:
            given = input_ids if input_ids is not None else keywords["inputs_embeds"]
            self._forwards += 1
            self._positions += given.shape[0] * given.shape[1]
            return forward(model, input_ids, *arguments, **keywords)

        model_class.forward = counted

    def mark(self) -> None:
        finish(self.device)
        self.moments.append(Moment(time.perf_counter(), time.process_time(), self._forwards, self._positions))

    def per_step(self, name: str, warmup: int) -> float:
        """Median over the steps behind the warm-up."""
        values = [getattr(moment, name) for moment in self.moments]
        steps: list[float] = [after - before for before, after in pairwise(values)]
        return statistics.median(steps[warmup:])

    def result(self, versions: Mapping[str, str], *, warmup: int) -> Measured:
        generated = self.generated[warmup:]
        return Measured(
            device=self.device, versions=versions, cpu=self.per_step("cpu", warmup), wall=self.per_step("wall", warmup),
            forwards=self.per_step("forwards", warmup), positions=self.per_step("positions", warmup),
            generated=statistics.mean(generated) if generated else 0.0, start=self.moments[1].cpu,
            peak_mb=peak_mb(self.device), losses=[round(loss, 7) for loss in self.losses],
        )  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """Of a step, over those behind the warm-up.

    Args:
        device: its name. cpu, wall: seconds. forwards, positions: as in :class:`Moment`. generated: tokens sampled.
        start: CPU seconds from the start of the process to the end of the first step.
        peak_mb: most resident memory of the whole process, or of the GPU's as torch took it. losses: of all steps.
    """

    device: str
    versions: Mapping[str, str]
    cpu: float
    wall: float
    forwards: float
    positions: float
    generated: float
    start: float
    peak_mb: float
    losses: Sequence[float]

    @property
    def seconds(self) -> float:
        """CPU seconds, which other processes disturb least; where a GPU computes, those of the clock."""
        return self.cpu if self.device == "cpu" else self.wall

    def print(self) -> None:
        print(json.dumps(asdict(self)))


def finish(device: str) -> None:
    """Wait for all that a GPU was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def peak_mb(device: str) -> float:
    """Most memory so far. Not of getrusage: there a process begins with what its parent held."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
