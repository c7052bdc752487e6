"""What TensorBoard itself reads back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from evaluation_standins import build

from rlhf_core.contract.errors import MissingComponent, RLHFError

pytest.importorskip("tensorboard", reason="the extra `track` is not installed")


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_a_resumed_run_replaces_the_steps_it_goes_over_again(tmp_path: Path) -> None:
    first = build("tensorboard_tracker", "tracker", "tensorboard")
    first.start(tmp_path, {"algo": "dpo"})
    for step, loss in enumerate([0.5, 0.25, 0.125]):
        first.log(step, {"train/loss": loss})
    first.finish()
    second = build("tensorboard_tracker", "tracker", "tensorboard")
    second.start(tmp_path, {})
    second.log(1, {"train/loss": 2.0})
    second.finish()
    assert read(tmp_path / "tensorboard") == {"train/loss": [(0, 0.5), (1, 2.0)]}


def test_a_run_without_metrics_leaves_nothing(tmp_path: Path) -> None:
    tracker = build("tensorboard_tracker", "tracker", "tensorboard")
    tracker.start(tmp_path, {})
    tracker.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_outside_the_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RLHFError, match="leads out of the run"):
        build("tensorboard_tracker", "tracker", "tensorboard", folder="../elsewhere").start(tmp_path / "run", {})


def test_a_missing_package_is_named_with_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingComponent, match=r"pip install 'rlhf_core\[track\]'"):
        build("tensorboard_tracker", "tracker", "tensorboard")
