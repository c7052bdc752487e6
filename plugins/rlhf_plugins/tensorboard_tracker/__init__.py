"""Metrics to TensorBoard."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="tracker",
        name="tensorboard",
        summary="Metrics as TensorBoard events (pip install rlhf_core[track])",
        target="rlhf_plugins.tensorboard_tracker.tracker:TensorBoardTracker",
        options="rlhf_plugins.tensorboard_tracker.options:TensorBoardOptions",
        extras=("tensorboard",),
    )
