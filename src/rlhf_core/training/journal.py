"""What is told of a training: metrics, samples and alarms in the run's folder, and the observers. First rank only."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..contract.health import Alarm
from ..store.run import RunFolder
from .health.watch import Watch
from .observers import Observer
from .outcome import Outcome
from .progress import Progress
from .world import World


class Journal:
    """Writes and tells; keeps the time.

    Args:
        batch_size: rows per step, from which the records consumed follow.
        watch: looks at every line of metrics.
    """

    def __init__(
        self, run: RunFolder, observers: Sequence[Observer], *, batch_size: int, world: World, watch: Watch
    ) -> None:
        self._run = run
        self._observers = observers if world.first else ()
        self._writes = world.first
        self._batch_size = batch_size
        self._watch = watch
        self._since = time.monotonic()

    def started(self, progress: Progress, steps: int) -> None:
        self._since = time.monotonic()
        for observer in self._observers:
            observer.started(progress.step, steps)

    def tick(self, progress: Progress) -> None:
        """Add the time since the last tick to ``progress.seconds``."""
        now = time.monotonic()
        progress.seconds += now - self._since
        self._since = now

    @contextmanager
    def apart(self, progress: Progress) -> Iterator[None]:
        """Time spent inside counts as spent, but tokens per second are those of training alone."""
        self.tick(progress)
        before = progress.seconds
        try:
            yield
        finally:
            self.tick(progress)
            progress.timed += progress.seconds - before

    def stepped(self, progress: Progress, learning_rates: Mapping[str, float]) -> None:
        """A line of the means since the last such line."""
        self.tick(progress)
        speed = progress.tokens / max(progress.seconds - progress.timed, 1e-9)
        progress.metrics = {**progress.since_log.take(), **learning_rates, "tokens_per_second": speed}
        progress.tokens, progress.timed = 0.0, progress.seconds
        alarms = self._write(progress, "train", progress.metrics)
        for observer in self._observers:
            observer.step(progress.step, progress.metrics)
        self._alarm(alarms)

    def evaluated(
        self, progress: Progress, samples: Sequence[Mapping[str, Any]], held_out: Sequence[Mapping[str, Any]]
    ) -> None:
        """
        Args:
            samples: answers to held-out prompts. held_out: what was measured of single held-out rows.
        """
        self.tick(progress)
        alarms = self._write(progress, "validation", progress.validation)
        for rows, append in ((samples, self._run.append_samples), (held_out, self._run.append_held_out)):
            if rows and self._writes:
                append([{"step": progress.step, **row} for row in rows])
        for observer in self._observers:
            observer.evaluated(progress.step, progress.validation)
        self._alarm(alarms)

    def rewound(self) -> None:
        """What is left of the metrics of an interrupted run is looked at again: it says which alarms are left."""
        if self._writes:
            alarms = self._watch.look_at_all(self._run.metrics())
            self._run.replace_alarms(alarm.to_json() for alarm in alarms)

    def saved(self, progress: Progress, folder: Path) -> None:
        for observer in self._observers:
            observer.saved(progress.step, folder)

    def finished(self, outcome: Outcome) -> None:
        for observer in self._observers:
            observer.finished(outcome)

    def _alarm(self, alarms: Sequence[Alarm]) -> None:
        if not alarms:
            return
        self._run.append_alarms([alarm.to_json() for alarm in alarms])
        for observer in self._observers:
            for alarm in alarms:
                observer.alarmed(alarm)

    def _write(self, progress: Progress, split: str, metrics: Mapping[str, float]) -> list[Alarm]:
        """Returns: what the line makes alarming."""
        if not self._writes:
            return []
        head = {
            "step": progress.step,
            "records": progress.step * self._batch_size,
            "seconds": round(progress.seconds, 3),
            "split": split,
        }
        row = {**head, **metrics}
        self._run.append_metrics(row)
        return self._watch.look(row)
