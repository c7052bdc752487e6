"""How a training ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What :meth:`Engine.train` returns.

    Args:
        status: ``"finished"``, or ``"stopped"`` by Ctrl-C or SIGTERM, with a checkpoint to go on from.
        step: batches that are done. ``steps``: batches that were planned.
        stopped_early: finished before all steps because evaluations got no better.
        best_step: of the evaluation that ``best/`` (and so ``model/``) is of; None where the last weights are kept.
        metrics: the last line of train metrics. ``validation``: those of the last evaluation.
    """

    status: Literal["finished", "stopped"]
    step: int
    steps: int
    stopped_early: bool = False
    best_step: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    validation: Mapping[str, float] = field(default_factory=dict)
