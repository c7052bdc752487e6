"""What is seen of a training: a small table that moves on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from rlhf_core.contract.health import Alarm
from rlhf_core.recipe.amounts import clock
from rlhf_core.recipe.observing import Listener
from rlhf_core.recipe.written.resolved import Stage
from rlhf_core.training.outcome import Outcome

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.progress import Progress, TaskID

SHOWN = {
    "loss": "loss", "score": "score", "kl_k1": "KL", "accuracy": "accuracy", "length": "length", "entropy": "entropy",
}  # fmt: skip
"""Metrics that are worth the room, where a trainer has them."""
LINES = 20
"""So many lines over a training where there is no terminal."""


def listeners(stage: Stage) -> list[Listener]:
    """One listener fit for where the output goes."""
    return [Board(stage.name) if sys.stdout.isatty() else Lines(stage.name)]


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

    def alarmed(self, alarm: Alarm) -> None:
        click.echo(f"{self.name}: {alarm_text(alarm)}")

    def _pace(self, step: int, metrics: Mapping[str, float]) -> str:
        left = (time.monotonic() - self.began) / max(1, step - self.first) * (self.steps - step)
        return f"{metrics.get('tokens_per_second', 0.0):.0f} tokens/s, {clock(left)} left"


class Board(Listener):
    """A bar with throughput and time left over a table of the latest numbers, redrawn in place."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[str, Mapping[str, float]] = {}
        self.live: Live | None = None
        self.progress: Progress | None = None
        self.task: TaskID | None = None

    def started(self, step: int, steps: int) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("left  {task.fields[pace]}"),
        )  # fmt: skip
        self.task = self.progress.add_task(self.name, total=steps, completed=step, pace="")
        self.live = Live(get_renderable=self.drawn, refresh_per_second=4)
        self.live.start()

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        self.rows["training"] = metrics
        if self.progress is not None and self.task is not None:
            pace = f"{metrics.get('tokens_per_second', 0.0):.0f} tokens/s"
            self.progress.update(self.task, completed=step, pace=pace)

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        self.rows["held out" if "held out at first" in self.rows else "held out at first"] = metrics

    def alarmed(self, alarm: Alarm) -> None:
        if self.progress is not None:
            self.progress.console.print(f"{self.name}: {alarm_text(alarm)}", style="yellow", markup=False)

    def finished(self, outcome: Outcome) -> None:
        self.failed()

    def failed(self) -> None:
        if self.live is not None:
            self.live.stop()

    def drawn(self) -> RenderableType:
        """Bar and table; columns are the numbers that any row has."""
        from rich.console import Group
        from rich.table import Table

        assert self.progress is not None, "drawn from started() on"
        columns = [key for key in SHOWN if any(key in row for row in self.rows.values())]
        if not columns:
            return self.progress
        table = Table(box=None, pad_edge=False, padding=(0, 2))
        table.add_column("")
        for key in columns:
            table.add_column(SHOWN[key], justify="right")
        for label, row in self.rows.items():
            table.add_row(label, *(with_error(row, key) if key in row else "" for key in columns))
        return Group(self.progress, table)


def alarm_text(alarm: Alarm) -> str:
    """What is wrong on one line, its evidence and what to do about it on the next."""
    return f"step {alarm.step}  ALARM {alarm.name}: {alarm.says}\n    {alarm.evidence}; {alarm.mend}"


def numbers(metrics: Mapping[str, float]) -> str:
    """``loss 0.693  KL 1.2 ± 0.3``: the few numbers that say how it goes; all where none of those is there."""
    named = {key: label for key, label in SHOWN.items() if key in metrics} or {key: key for key in metrics}
    return "  ".join(f"{label} {with_error(metrics, key)}" for key, label in named.items())


def with_error(metrics: Mapping[str, float], key: str) -> str:
    """The KL with its 95 % interval, since its estimate may be below zero by chance; other numbers as they are."""
    error = metrics.get(f"{key}_se") if key.startswith("kl_") else None
    return f"{metrics[key]:.4g}" if error is None else f"{metrics[key]:.3g} ± {1.96 * error:.2g}"
