"""One event file per start of a run; a resumed run hides what was logged beyond the step it goes on from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rlhf_core.contract.errors import MissingComponent, RLHFError

from .options import TensorBoardOptions

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardTracker:
    def __init__(self, options: TensorBoardOptions) -> None:
        self.options = options
        self._folder: Path | None = None
        self._config: Mapping[str, object] = {}
        self._writer: SummaryWriter | None = None
        _require_tensorboard()

    def start(self, run: Path, config: Mapping[str, object]) -> None:
        """Raises: RLHFError when ``folder`` leads out of the run."""
        folder = run / self.options.folder
        if not folder.resolve().is_relative_to(run.resolve()):
            raise RLHFError(f"tracker tensorboard: folder {self.options.folder!r} leads out of the run {run}")
        self._folder, self._config = folder, config

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        writer = self._writer or self._open(step)
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self, step: int) -> SummaryWriter:
        """At the first metrics, not before: only then is it known which steps of an earlier start are undone."""
        from torch.utils.tensorboard import SummaryWriter

        assert self._folder is not None, "start() comes before log()"
        self._writer = SummaryWriter(log_dir=str(self._folder), purge_step=step)
        text = json.dumps(self._config, indent=2, default=str, ensure_ascii=False)
        self._writer.add_text("recipe", f"```\n{text}\n```", step)
        return self._writer


def _require_tensorboard() -> None:
    """Raises: MissingComponent with its mend, before a run starts rather than at its first step."""
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise MissingComponent(
            "tracker tensorboard: the package tensorboard is not installed; pip install 'rlhf_core[track]'"
        ) from error
