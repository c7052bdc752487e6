"""One W&B run per run: a resumed one goes on under the same id."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.tracker import tracking_id

from .options import WandbOptions

STEP = "step"
"""W&B's own step never goes back, that of a resumed run does: ours is a number like others, and the axis of all."""


class WandbTracker:
    def __init__(self, options: WandbOptions) -> None:
        self.options = options
        self._run: Any = None

    def start(self, run: Path, config: Mapping[str, object]) -> None:
        """Raises: RLHFError when W&B refuses (no key, no network)."""
        # With a judge's client loaded it would advertise another product in between our lines.
        os.environ.setdefault("WANDB_DISABLE_WEAVE", "true")
        wandb = importlib.import_module("wandb")
        # Nothing of the console is captured, and nothing is asked of a terminal.
        settings = wandb.Settings(silent=True, console="off", disable_git=True, x_disable_stats=True)
        try:
            self._run = wandb.init(
                project=self.options.project, entity=self.options.entity, mode=self.options.mode,
                dir=str(run), name=run.name, id=tracking_id(run), resume="allow", config=dict(config),
                settings=settings,
            )  # fmt: skip
        except wandb.Error as error:
            raise RLHFError(
                f"tracker wandb: {str(error).splitlines()[0]}; set WANDB_API_KEY, or leave mode = offline"
            ) from error
        self._run.define_metric("*", step_metric=STEP)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log({**metrics, STEP: step})

    def finish(self) -> None:
        if self._run is not None:
            self._run.finish()
            self._run = None
