"""Options of the ``wandb`` tracker."""

from __future__ import annotations

from typing import Literal

from rlhf_core.contract.options import Options


class WandbOptions(Options):
    mode: Literal["offline", "online"] = "offline"
    """offline writes into the run's folder, for `wandb sync` later; online sends at once and needs WANDB_API_KEY."""
    project: str = "rlhf"
    """Project on the server."""
    entity: str | None = None
    """User or team; null is the key's own."""
