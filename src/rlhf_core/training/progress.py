"""Where training stands: everything that moves while it runs, except weights, optimizer and random states."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..math.averages import ERROR


@dataclass
class Means:
    """Means of metrics over the optimizer steps and batches since the last line of metrics.

    The standard error of a mean of K independent means is √(Σ se²) / K: of errors the squares are summed.
    """

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            share = value * value if name.endswith(ERROR) else value
            self.sums[name] = self.sums.get(name, 0.0) + share
            self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """The means; the next ones start anew."""
        means = {
            name: (math.sqrt(total) if name.endswith(ERROR) else total) / self.counts[name]
            for name, total in self.sums.items()
        }
        self.sums, self.counts = {}, {}
        return means


@dataclass
class Progress:
    """See the module.

    Args:
        step: batches that are done. ``updates``: optimizer steps that are done.
        inner_epoch, minibatch: the next optimizer step within the batch that is under way.
        within: optimizer steps done of that batch.
        evaluated: the last step that was evaluated; −1: none, not even the start.
        best_step, best_value: of the best evaluation so far. ``worse``: evaluations since then.
        seconds: spent so far, over all sessions. ``tokens``: trained on since the last line of metrics.
        timed: ``seconds`` when that line was written.
    """

    step: int = 0
    updates: int = 0
    inner_epoch: int = 0
    minibatch: int = 0
    within: int = 0
    evaluated: int = -1
    best_step: int | None = None
    best_value: float | None = None
    worse: int = 0
    seconds: float = 0.0
    timed: float = 0.0
    tokens: float = 0.0
    since_log: Means = field(default_factory=Means)
    metrics: dict[str, float] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)

    def advance(self, minibatches: int) -> None:
        """One optimizer step is done; ``minibatches`` make an inner epoch."""
        self.updates += 1
        self.within += 1
        self.minibatch += 1
        if self.minibatch == minibatches:
            self.minibatch = 0
            self.inner_epoch += 1

    def close_batch(self) -> None:
        self.step += 1
        self.inner_epoch = self.minibatch = self.within = 0

    def rate(self, value: float, direction: str) -> bool:
        """Take in an evaluation of the present step; True if it is the best so far."""
        better = self.best_value is None or (value < self.best_value if direction == "min" else value > self.best_value)
        if better:
            self.best_step, self.best_value, self.worse = self.step, value, 0
        else:
            self.worse += 1
        return better

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Progress:
        return cls(**{**saved, "since_log": Means(**saved["since_log"])})
