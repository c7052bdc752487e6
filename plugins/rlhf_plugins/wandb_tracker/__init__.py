"""Metrics to Weights & Biases."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="tracker",
        name="wandb",
        summary="Metrics to Weights & Biases; into the run's folder until told to send (pip install rlhf_core[wandb])",
        target="rlhf_plugins.wandb_tracker.tracker:WandbTracker",
        options="rlhf_plugins.wandb_tracker.options:WandbOptions",
        extras=("wandb",),
    )
