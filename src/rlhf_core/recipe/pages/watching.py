"""The page of a run, or of a recipe's runs, made anew whenever one of their files changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rlhf_core.report.live import LivePage
from rlhf_core.report.page import render
from rlhf_core.store.run import RunFolder

from .reporting import place_content, runs_at

_FILES = ("run.json", "metrics.jsonl", "samples.jsonl", "held_out.jsonl", "alarms.jsonl", "evaluation")


class Watched:
    """Called, it gives the page as it is now. Raises: RLHFError when there is no such run."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._seen: object = None
        self._page = ""
        self()

    def __call__(self) -> str:
        folder, runs = runs_at(self.place)
        seen = [_state(run) for run in runs]
        if seen != self._seen:
            self._page, self._seen = render(place_content(folder, runs), live=True), seen
        return self._page


def _state(run: RunFolder) -> list[tuple[Path, int, int]]:
    paths = [run.path / name for name in _FILES]
    stats = [(path, path.stat()) for path in paths if path.exists()]
    return [(path, found.st_mtime_ns, found.st_size) for path, found in stats]


def watch(place: str, port: int, tell: Callable[[str], None]) -> LivePage:
    """A server of the page, not yet serving. Raises: RLHFError for no such run, OSError when the port is taken."""
    return LivePage(Watched(place), port, tell)
