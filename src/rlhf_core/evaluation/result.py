"""What an evaluation found, as plain data: a summary row per metric and a row per completion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from .significance import conclusion, detectable_difference
from .statistics import NOTHING, Estimate

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """One metric of one evaluator.

    Args:
        estimate: the run's value with its 95 % interval; a number of the whole set may have no interval.
        better: whether higher or lower is better; None where neither.
        baseline: the baseline's value, where there is a baseline.
        difference: run − baseline, paired by prompt, with its interval.
        neutral: for metrics that compare with the baseline by themselves, the value at which neither side is better.
        p: of "there is no difference", by flipping signs at random over prompts. ``q``: the same, corrected for the
            other runs that were compared in the same evaluation; None where there was one run alone.
    """

    evaluator: str
    metric: str
    estimate: Estimate
    better: Better | None = None
    baseline: Estimate = NOTHING
    difference: Estimate = NOTHING
    neutral: float | None = None
    p: float | None = None
    q: float | None = None

    @property
    def name(self) -> str:
        """``evaluator/metric``, or the one word where they are the same."""
        return qualified(self.evaluator, self.metric)

    @property
    def conclusion(self) -> str:
        """As :func:`rlhf_core.evaluation.significance.conclusion`."""
        return conclusion(*self._compared, self.better, self.q)

    @property
    def _compared(self) -> tuple[Estimate, float]:
        """The estimate that says whether there is a difference, and its value where there is none."""
        return (self.difference, 0.0) if self.neutral is None else (self.estimate, self.neutral)

    @property
    def detectable(self) -> float | None:
        """The smallest difference that so many prompts would show in four cases of five."""
        return detectable_difference(self._compared[0])

    def to_json(self) -> dict[str, object]:
        """Flat, with the keys that tables and reports use."""
        return {
            "name": self.name,
            "evaluator": self.evaluator,
            "metric": self.metric,
            "mean": self.estimate.value,
            "low": self.estimate.low,
            "high": self.estimate.high,
            "n": self.estimate.n,
            "prompts": self.estimate.prompts,
            "better": self.better,
            "baseline_mean": self.baseline.value,
            "difference": self.difference.value,
            "difference_low": self.difference.low,
            "difference_high": self.difference.high,
            "neutral": self.neutral,
            "p": self.p,
            "q": self.q,
            "detectable": self.detectable,
            "conclusion": self.conclusion,
        }


@dataclass(frozen=True, kw_only=True)
class SampleRow:
    """One completion with every number and column that the evaluators gave it. ``of`` is ``run`` or ``baseline``."""

    of: Literal["run", "baseline"]
    group: str
    prompt: str
    completion: str
    finished: bool
    scores: dict[str, float | None] = field(default_factory=dict)
    columns: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """All of it. Whoever called writes it: ``to_json`` is the page's table, ``rows`` the lines of its samples.

    ``warnings`` say why a number must not be believed, where ``notes`` say what it means.
    """

    summary: Sequence[SummaryRow]
    samples: Sequence[SampleRow]
    notes: Sequence[str] = ()
    seed: int = 0
    warnings: Sequence[str] = ()

    def __getitem__(self, name: str) -> SummaryRow:
        """A summary row by ``evaluator/metric``. Raises: KeyError naming what there is."""
        for row in self.summary:
            if row.name == name:
                return row
        raise KeyError(f"{name}: there are {', '.join(row.name for row in self.summary) or 'no metrics'}")

    def rows(self) -> list[dict[str, object]]:
        """One flat row per completion, the run's first."""
        flat = []
        for sample in self.samples:
            row = asdict(sample)
            scores, columns = row.pop("scores"), row.pop("columns")
            flat.append({**row, **scores, **columns})
        return flat

    def to_json(self) -> dict[str, object]:
        return {
            "seed": self.seed, "summary": [row.to_json() for row in self.summary], "notes": list(self.notes),
            "warnings": list(self.warnings),
        }  # fmt: skip


def qualified(evaluator: str, metric: str) -> str:
    return metric if evaluator == metric else f"{evaluator}/{metric}"
