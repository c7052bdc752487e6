"""What is seen while a judge is asked: a line that moves on a terminal, one now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from rlhf_core.contract.judge import Asked
from rlhf_core.recipe.amounts import clock

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS: Final = 30.0
"""Between two lines where there is no terminal: what is answered sooner is told by its result alone."""


@contextmanager
def watched() -> Iterator[Callable[[Asked], None]]:
    """What a judge's progress is given to, fit for where the output goes."""
    shown = Bar() if sys.stdout.isatty() else Lines()
    try:
        yield shown
    finally:
        shown.close()


class Lines:
    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds, self._pace = seconds, Pace()
        self._told = 0.0

    def __call__(self, asked: Asked) -> None:
        self._pace.see(asked)
        now = time.monotonic()
        if asked.done == 1:
            self._told = now
        if now - self._told >= self._seconds and asked.done < asked.total:
            self._told = now
            click.echo(f"judge {asked.judge}: {asked.done} of {asked.total} answered{words(asked, self._pace.left)}")

    def close(self) -> None:
        """Lines stay."""


class Bar:
    """Gone when all is answered."""

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self._pace = Pace()

    def __call__(self, asked: Asked) -> None:
        self._pace.see(asked)
        if self.progress is None:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
            self.progress = Progress(*columns, TextColumn("{task.fields[words]}"), transient=True)
            self.progress.add_task(f"judge {asked.judge}", words="")
            self.progress.start()
        said = f"answered{words(asked, self._pace.left)}"
        self.progress.update(self.progress.task_ids[0], completed=asked.done, total=asked.total, words=said)
        if asked.done == asked.total:
            self.close()

    def close(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


class Pace:
    """``left``: seconds, by those that had to be asked; None as long as that cannot be told."""

    def __init__(self) -> None:
        self._began = self._first = 0.0
        self.left: float | None = None

    def see(self, asked: Asked) -> None:
        fresh = asked.done - asked.kept
        if asked.done == 1 or fresh <= 1:
            self._began, self._first, self.left = time.monotonic(), fresh, None
        elif fresh > self._first:
            self.left = (time.monotonic() - self._began) / (fresh - self._first) * (asked.total - asked.done)


def words(asked: Asked, left: float | None) -> str:
    """``, 300 kept from before, 2 without a verdict, 0.031 dollars, 1:12 left``: what there is to say of it."""
    said = [f"{asked.kept} kept from before"] * (asked.kept > 0)
    said += [f"{asked.failed} without a verdict"] * (asked.failed > 0)
    said += [f"{asked.usd:.2g} dollars"] if asked.usd else []
    said += [] if left is None else [f"{clock(left)} left"]
    return "".join(f", {one}" for one in said)
