"""Trackers: metrics to somewhere else than ``metrics.jsonl``, which is always written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Tracker(Protocol):
    def start(self, run: Path, config: Mapping[str, object]) -> None: ...

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Names are ``train/loss``, ``validation/loss`` …; called on the first rank only."""

    def finish(self) -> None: ...
