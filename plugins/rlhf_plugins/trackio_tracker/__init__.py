"""Metrics to trackio."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="tracker",
        name="trackio",
        summary="Metrics to trackio on this machine; `trackio show` draws them (pip install rlhf_core[trackio])",
        target="rlhf_plugins.trackio_tracker.tracker:TrackioTracker",
        options="rlhf_plugins.trackio_tracker.options:TrackioOptions",
        extras=("trackio",),
    )
