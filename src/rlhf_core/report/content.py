"""What a page shows, as plain data: whoever writes the page reads the runs; this room draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MetricRow = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Gain:
    """after − before in score, paired by prompt, with its 95 % interval; None for the interval of a single prompt."""

    value: float
    low: float | None
    high: float | None
    prompts: int


@dataclass(frozen=True, kw_only=True)
class StageContent:
    """One run.

    Args:
        name, algo, status: as in ``run.json``; ``error`` is what a failed run ended with.
        metrics: rows of ``metrics.jsonl``: ``step``, ``split`` (``train`` or ``validation``) and numbers; ``NAME_se``
            is the standard error of ``NAME``.
        samples: rows of ``samples.jsonl``: ``step``, ``record_id``, ``prompt``, ``completion``, perhaps ``score``.
        held_out: rows of ``held_out.jsonl``: ``step``, ``record_id`` and numbers of that held-out row by itself.
        gain: of the samples' scores, last against first.
        warnings: why its reward must not be believed.
        alarms: rows of ``alarms.jsonl``: ``name``, ``step``, ``says``, ``evidence``, ``cause``, ``mend``.
        readings: question → answer, in the trainer's own words.
        facts: short label → value lines for the head of the section (parameters, data, time).
        provenance: label → value: where the run comes from.
        config: the resolved recipe as YAML.
    """

    name: str
    algo: str
    status: str
    error: str = ""
    metrics: Sequence[MetricRow] = ()
    samples: Sequence[MetricRow] = ()
    held_out: Sequence[MetricRow] = ()
    gain: Gain | None = None
    warnings: Sequence[str] = ()
    alarms: Sequence[Mapping[str, Any]] = ()
    readings: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    config: str = ""


@dataclass(frozen=True, kw_only=True)
class EvaluationContent:
    """One evaluation.

    Args:
        summary, notes: of its JSON.
        baseline: the name of what it is compared with.
        rows: a row per completion: ``of`` (``run`` or ``baseline``), ``group``, ``prompt``, ``completion``, numbers.
        warnings: why a number must not be believed.
    """

    name: str
    summary: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = ()
    baseline: str | None = None
    rows: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class PageContent:
    title: str
    stages: Sequence[StageContent]
    evaluations: Sequence[EvaluationContent] = ()
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ComparisonContent:
    """Runs side by side.

    Args:
        runs: their names are unique.
        settings: option → its value in each run, in their order; those that differ alone.
        evaluations: per run, in their order, the summary rows of its newest evaluation; empty where it has none.
    """

    title: str
    runs: Sequence[StageContent]
    settings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    evaluations: Sequence[Sequence[Mapping[str, Any]]] = ()
