"""What is seen of a training: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from rlhf_core.recipe.amounts import clock
from rlhf_core.recipe.observing import Listener
from rlhf_core.recipe.resolved import Stage
from rlhf_core.training.outcome import Outcome

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOWN = {"loss": "loss", "score": "score", "kl_k3": "KL", "accuracy": "accuracy"}
"""Metrics that are worth the line, where a trainer has them."""
LINES = 20
"""So many lines over a training where there is no terminal."""


def listeners(stage: Stage) -> list[Listener]:
    """One listener fit for where the output goes."""
    return [Bar(stage.name) if sys.stdout.isatty() else Lines(stage.name)]


class Lines(Listener):
    """Plain lines: at the start, at about every twentieth step, at each evaluation and at the end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps = self.first = 0
        self.began = time.monotonic()

    def started(self, step: int, steps: int) -> None:
        self.steps, self.first, self.began = steps, step, time.monotonic()
        if step:
            click.echo(f"{self.name}: goes on at step {step} of {steps}")

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        every = max(1, self.steps // LINES)
        if step % every == 0 or step == self.steps:
            click.echo(f"{self.name}: step {step}/{self.steps}  {numbers(metrics)}  {self._pace(step, metrics)}")

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        click.echo(f"{self.name}: step {step}/{self.steps}  held out: {numbers(metrics)}")

    def _pace(self, step: int, metrics: Mapping[str, float]) -> str:
        left = (time.monotonic() - self.began) / max(1, step - self.first) * (self.steps - step)
        return f"{metrics.get('tokens_per_second', 0.0):.0f} tokens/s, {clock(left)} left"


class Bar(Listener):
    """A bar with throughput, time left, loss, score and KL; evaluations stay above it as lines."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.progress: Progress | None = None
        self.task: TaskID | None = None
        self.steps = 0

    def started(self, step: int, steps: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.steps = steps
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
        )  # fmt: skip
        self.task = self.progress.add_task(self.name, total=steps, completed=step, numbers="")
        self.progress.start()

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        pace = f"{metrics.get('tokens_per_second', 0.0):.0f} tokens/s"
        self._update(completed=step, numbers=f"{numbers(metrics)}  {pace}")

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        if self.progress is not None:
            self.progress.console.print(f"{self.name}: step {step}/{self.steps}  held out: {numbers(metrics)}")

    def finished(self, outcome: Outcome) -> None:
        self.failed()

    def failed(self) -> None:
        if self.progress is not None:
            self.progress.stop()

    def _update(self, **fields: Any) -> None:
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, **fields)


def numbers(metrics: Mapping[str, float]) -> str:
    """``loss 0.693  score 1.2``: the few numbers that say how it goes; all there are where none of those is there."""
    named = {label: metrics[key] for key, label in SHOWN.items() if key in metrics}
    return "  ".join(f"{label} {value:.4g}" for label, value in (named or dict(metrics)).items())
