"""Trackers: metrics to somewhere else than ``metrics.jsonl``, which is always written."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

ID_FILE: Final = "tracking-id"


class Tracker(Protocol):
    def start(self, run: Path, config: Mapping[str, object]) -> None: ...

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Names are ``train/loss``, ``validation/loss`` …; called on the first rank only."""

    def finish(self) -> None: ...


def tracking_id(run: Path) -> str:
    """Twelve characters that stay when a run goes on, and differ for another run that is made at the same place."""
    path = run / ID_FILE
    if not path.is_file():
        path.write_text(uuid.uuid4().hex[:12], encoding="utf-8")
    return path.read_text("utf-8")
