"""Trackers and plugins' hooks as listeners of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pluggy

from rlhf_core.contract.health import Alarm
from rlhf_core.contract.tracker import Tracker
from rlhf_core.training.observers import Observer
from rlhf_core.training.outcome import Outcome


class Listener(Observer):
    """An observer that does nothing, to be overridden in part; ``failed`` is called beside the engine's protocol."""

    def started(self, step: int, steps: int) -> None:
        return

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        return

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        return

    def alarmed(self, alarm: Alarm) -> None:
        return

    def saved(self, step: int, folder: Path) -> None:
        return

    def finished(self, outcome: Outcome) -> None:
        return

    def failed(self) -> None:
        """Training ended with an error."""


class TrackerObserver(Listener):
    """Sends every line of metrics to a tracker, names led by the split."""

    def __init__(self, tracker: Tracker, run: Path, config: Mapping[str, object]) -> None:
        self.tracker, self.run, self.config = tracker, run, config

    def started(self, step: int, steps: int) -> None:
        self.tracker.start(self.run, self.config)

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        self.tracker.log(step, {f"train/{name}": value for name, value in metrics.items()})

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        self.tracker.log(step, {f"validation/{name}": value for name, value in metrics.items()})

    def finished(self, outcome: Outcome) -> None:
        self.tracker.finish()

    def failed(self) -> None:
        self.tracker.finish()


class HookObserver(Listener):
    """Calls the four hooks of the contract."""

    def __init__(self, manager: pluggy.PluginManager, run: Path, config: Mapping[str, object]) -> None:
        self.hook, self.run, self.config = manager.hook, run, config

    def started(self, step: int, steps: int) -> None:
        self.hook.rlhf_run_started(run=self.run, config=self.config)

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        self.hook.rlhf_step_finished(run=self.run, step=step, metrics=metrics)

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        self.hook.rlhf_evaluated(run=self.run, step=step, metrics=metrics)

    def finished(self, outcome: Outcome) -> None:
        stopped = outcome.stopped_early or outcome.status == "stopped"
        self.hook.rlhf_run_finished(run=self.run, status="stopped" if stopped else "finished")

    def failed(self) -> None:
        self.hook.rlhf_run_finished(run=self.run, status="failed")
