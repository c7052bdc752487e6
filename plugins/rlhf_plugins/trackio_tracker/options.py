"""Options of the ``trackio`` tracker."""

from __future__ import annotations

from rlhf_core.contract.options import Options


class TrackioOptions(Options):
    project: str = "rlhf"
    """Project under which the run is kept, in TRACKIO_DIR or where trackio keeps things by itself."""
