"""Options of the ``tensorboard`` tracker."""

from __future__ import annotations

from rlhf_core.contract.options import Options


class TensorBoardOptions(Options):
    folder: str = "tensorboard"
    """Where the events go, inside the run's folder."""
