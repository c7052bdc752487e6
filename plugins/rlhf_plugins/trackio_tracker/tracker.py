"""One trackio run per run, kept on this machine: a resumed one goes on under the same name."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlhf_core.contract.tracker import tracking_id

from .options import TrackioOptions


class TrackioTracker:
    def __init__(self, options: TrackioOptions) -> None:
        self.options = options
        self._run: Any = None

    def start(self, run: Path, config: Mapping[str, object]) -> None:
        trackio = importlib.import_module("trackio")
        with _quiet():
            self._run = trackio.init(
                project=self.options.project, name=f"{run.name}-{tracking_id(run)}", config=dict(config),
                resume="allow", embed=False, auto_log_gpu=False, auto_log_cpu=False,
            )  # fmt: skip

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def finish(self) -> None:
        if self._run is not None:
            with _quiet():
                # Not the run's own finish(): trackio would finish it, and tell so, once more when Python ends.
                importlib.import_module("trackio").finish()
            self._run = None


def _quiet() -> contextlib.AbstractContextManager[Any]:
    """It prints how to see the results, between the lines of whoever trains."""
    return contextlib.redirect_stdout(io.StringIO())
