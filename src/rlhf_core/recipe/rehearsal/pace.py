"""How long a step, an evaluation and a checkpoint take, what they hold in memory, what a training comes to."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..observing import Listener

if TYPE_CHECKING:
    import torch

    from rlhf_core.training.engine import Engine


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes: ``before`` loading anything, the process's ``peak`` since it began, the device's peak under ``cuda``."""

    before: int
    peak: int = 0
    cuda: int | None = None

    def after(self, device: torch.device) -> Memory:
        import torch

        cuda = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
        # The kernel's record of the peak may lag a few pages behind.
        return replace(self, peak=max(_peak(), _resident() or 0, self.before), cuda=cuda)


def memory_before() -> Memory:
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    return Memory(before=_resident() or _peak())


def _peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes there, KiB elsewhere


def _resident() -> int | None:
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    except OSError:
        return None
    return int(pages) * resource.getpagesize()


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds of one step, one evaluation, one checkpoint, and how many of each the training has.

    ``evaluations_seen`` is how many this was measured on. ``checkpoint`` is the size of one in bytes.
    """

    step: float
    evaluation: float
    save: float
    steps: int
    evaluations: int
    saves: int
    tokens_per_second: float
    checkpoint: int
    evaluations_seen: int = 1

    @property
    def whole(self) -> float:
        """Of the whole training. The first step is slower than those after it, so this is rather too much."""
        return self.step * self.steps + self.evaluation * self.evaluations + self.save * self.saves


class Watch(Listener):
    """Takes the time of the first evaluation, step and checkpoint, and ends the training there."""

    def __init__(self) -> None:
        self.metrics: Mapping[str, float] = {}
        self.evaluating = True
        self._engine: Engine | None = None
        self._seen = 0
        self._last = 0.0
        self._took = {"evaluation": 0.0, "step": 0.0, "save": 0.0}

    def measure(self, engine: Engine) -> Pace:
        """Let the engine train until its first step is done and saved. Raises: KeyboardInterrupt for a Ctrl-C."""
        self._engine = engine
        engine.train()
        if not self.metrics:
            raise KeyboardInterrupt
        whole, validation = engine.steps, bool(engine.validation.rows)
        evaluated = {*range(0, whole + 1, engine.eval_every), whole} if validation else set()
        newest = engine.run.checkpoints.paths()[-1]
        return Pace(
            **self._took, steps=whole, evaluations=len(evaluated), evaluations_seen=self._seen,
            saves=len({*range(engine.save_every, whole + 1, engine.save_every), whole}),
            tokens_per_second=self.metrics["tokens_per_second"],
            checkpoint=sum(path.stat().st_size for path in newest.rglob("*") if path.is_file()),
        )  # fmt: skip

    def started(self, step: int, steps: int) -> None:
        assert self._engine is not None, "measure began it"
        self._last = time.monotonic()
        self.evaluating = bool(self._engine.validation.rows)

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        self._seen += 1
        self._note("evaluation")
        self.evaluating = False

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        assert self._engine is not None, "measure began it"
        self.metrics = metrics
        self._note("step")
        self.evaluating = True
        self._engine.interrupts.request()

    def saved(self, step: int, folder: Path) -> None:
        self._note("save")

    def _note(self, what: str) -> None:
        """Only the first of each counts: a training of one step evaluates at its end once more."""
        now = time.monotonic()
        self._took[what] = self._took[what] or now - self._last
        self._last = now
