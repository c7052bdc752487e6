"""What a page shows, as plain data: whoever writes the page reads the run; this room draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MetricRow = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class StageContent:
    """One run.

    Args:
        name, algo, status: as in ``run.json``.
        metrics: rows of ``metrics.jsonl``: ``step``, ``split`` (``train`` or ``validation``) and numbers.
        samples: rows of ``samples.jsonl``: ``step``, ``record_id``, ``prompt``, ``completion``, perhaps ``score``.
        facts: short label → value lines for the head of the section (parameters, data, time).
        config: the resolved recipe as YAML.
    """

    name: str
    algo: str
    status: str
    metrics: Sequence[MetricRow] = ()
    samples: Sequence[MetricRow] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    config: str = ""


@dataclass(frozen=True, kw_only=True)
class EvaluationContent:
    """One evaluation: ``summary`` and ``notes`` of its JSON; ``baseline`` is the name of what it is compared with."""

    name: str
    summary: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = ()
    baseline: str | None = None


@dataclass(frozen=True, kw_only=True)
class PageContent:
    title: str
    stages: Sequence[StageContent]
    evaluations: Sequence[EvaluationContent] = ()
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
