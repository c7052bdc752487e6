"""What was measured so far, as series by metric name, and the facts of the run that detectors weigh them by."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Split = Literal["train", "validation"]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the rows do not say.

    Args:
        rows: trained on. epochs: how often the whole training goes through them. steps: of the whole training.
        held_out: rows of an evaluation.
        shows_answers: the records hold what is to be written or preferred, which can be learnt by heart; else prompts.
        answers_end: they ask for answers, which have an end; running text has none.
        max_grad_norm: gradients are scaled down to it; None never. adam_epsilon: of the optimizer.
        max_new_tokens: length limit of answers, EOS included.
    """

    rows: int
    epochs: float
    steps: int
    held_out: int
    shows_answers: bool
    answers_end: bool
    max_grad_norm: float | None
    adam_epsilon: float
    max_new_tokens: int


@dataclass(frozen=True)
class Series:
    """One metric of one split: finite values at their steps, in order.

    Args:
        errors: standard errors of the values (``NAME_se`` of the same rows), None where a row has none.
    """

    name: str
    split: Split
    steps: Sequence[int]
    values: Sequence[float]
    errors: Sequence[float | None]

    def __len__(self) -> int:
        return len(self.values)

    def __bool__(self) -> bool:
        return bool(self.values)

    def latest(self, count: int) -> Series:
        """Its last rows."""
        return Series(self.name, self.split, self.steps[-count:], self.values[-count:], self.errors[-count:])

    @property
    def later_half(self) -> Series:
        return self.latest((len(self) + 1) // 2)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    def __str__(self) -> str:
        """What a mean over it is called in evidence."""
        return f"{self.name} {number(self.mean)} (mean of steps {self.steps[0]} to {self.steps[-1]}, {self.split})"


class History:
    """Args: rows: as in ``metrics.jsonl``: ``step``, ``split`` and numbers."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], facts: Facts) -> None:
        self.rows = rows
        self.facts = facts

    @property
    def step(self) -> int:
        """The last one that anything was measured at."""
        return int(self.rows[-1]["step"]) if self.rows else 0

    @property
    def progress(self) -> float:
        """Share of the training that is done."""
        return self.step / self.facts.steps

    def series(self, name: str, split: Split) -> Series:
        """Empty where no row of the split has the metric."""
        found = [row for row in self.rows if row.get("split") == split and _is_number(row.get(name))]
        errors = [row[f"{name}_se"] if _is_number(row.get(f"{name}_se")) else None for row in found]
        return Series(name, split, [int(row["step"]) for row in found], [float(row[name]) for row in found], errors)

    def any_series(self, *names: str) -> Series:
        """The first name that is measured: of training where there are enough rows to see a trend, else held out."""
        for name in names:
            train, held_out = self.series(name, "train"), self.series(name, "validation")
            if train or held_out:
                return train if len(train) >= len(held_out) else held_out
        return Series(names[0], "train", [], [], [])


def number(value: float) -> str:
    return f"{value:.3g}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
