"""What every tracker must do."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rlhf_core.contract.tracker import Tracker

from .expecting import expecting

_CONFIG = {"name": "check", "trainer": {"beta": 0.1}, "data": {"sources": [{"path": "pairs.jsonl"}]}}


def check_tracker(tracker: Tracker) -> None:
    """It starts, takes metrics step by step, finishes, and starts again at an earlier step, as a resumed run does.

    Raises: AssertionError in one line.
    """
    name = type(tracker).__name__
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        _run_through(name, tracker, run, steps=range(1, 4))
        with expecting(f"{name}: a second start, from step 2 on,"):
            _run_through(name, tracker, run, steps=range(2, 4))
        with expecting(f"{name}: finish() right after start()"):
            tracker.start(run, _CONFIG)
            tracker.finish()


def _run_through(name: str, tracker: Tracker, run: Path, *, steps: range) -> None:
    with expecting(f"{name}: start()"):
        tracker.start(run, _CONFIG)
    with expecting(f"{name}: log()"):
        for step in steps:
            tracker.log(step, {"train/loss": 1.0 / step, "train/learning_rate/policy": 1e-4})
        tracker.log(steps.stop, {"validation/loss": 0.5})
    with expecting(f"{name}: finish()"):
        tracker.finish()
