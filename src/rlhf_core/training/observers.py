"""Who hears of steps: progress bars, trackers, hooks, the report. Called on the first rank only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..contract.health import Alarm

if TYPE_CHECKING:
    from .outcome import Outcome


class Observer(Protocol):
    """Subclass it and override what is of interest; the rest does nothing."""

    def started(self, step: int, steps: int) -> None:
        """Training begins after ``step`` of ``steps`` batches (0 unless resumed)."""

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """A line of train metrics was written; ``step`` batches are done."""

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Held-out metrics were measured."""

    def alarmed(self, alarm: Alarm) -> None:
        """A sign of trouble was seen in the line that was written just now; the training goes on."""

    def saved(self, step: int, folder: Path) -> None:
        """A checkpoint was written."""

    def finished(self, outcome: Outcome) -> None:
        """Training ended or was stopped; not called when it failed."""
