"""Pages of runs: written beside them, or given as text to whoever serves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rlhf_core.contract.errors import RLHFError
from rlhf_core.report.content import PageContent
from rlhf_core.report.page import render, render_comparison
from rlhf_core.store.atomic import write_text
from rlhf_core.store.run import DEFAULT_ROOT, RunFolder

from .carding import write_card
from .contents import comparison_content, evaluation_contents, stage_content, texts

PAGE = "report.html"


def write_run_page(run: RunFolder) -> Path:
    """``report.html`` of one run, and the card of its model. Returns: the page's place."""
    write_card(run)
    return write_place(str(run.path))


def write_page(folder: Path, title: str, runs: Mapping[str, RunFolder], *, command: str) -> Path:
    """One page for all stages of a recipe and their evaluations. Returns: its place."""
    page = folder / PAGE
    write_text(page, render(page_content(title, list(runs.values()), command=command)))
    return page


def write_place(place: str, page: Path | None = None) -> Path:
    """The page of a run, or of a recipe's folder. Returns: its place, ``report.html`` there unless told otherwise."""
    folder, runs = runs_at(place)
    page = page or folder / PAGE
    write_text(page, render(place_content(folder, runs)))
    return page


def place_content(folder: Path, runs: Sequence[RunFolder]) -> PageContent:
    """Of a run's own folder, or of the folder that holds a recipe's runs."""
    single = RunFolder(folder).exists
    command = str(runs[0].info.get("command", "")) if single else f"rlhf report {folder}"
    return page_content(str(folder) if single else folder.name, runs, command=command)


def write_comparison(runs: Sequence[RunFolder], page: Path) -> Path:
    """Runs side by side."""
    write_text(page, render_comparison(comparison_content(runs)))
    return page


def page_content(title: str, runs: Sequence[RunFolder], *, command: str) -> PageContent:
    return PageContent(
        title=title,
        stages=[stage_content(run) for run in runs],
        evaluations=[found for run in runs for found in evaluation_contents(run)],
        command=command,
        versions=next((texts(run.info.get("versions")) for run in runs), {}),
    )


def runs_at(place: str) -> tuple[Path, list[RunFolder]]:
    """A run, or the runs of a recipe's folder without those that stepped aside; by folder, or by name under ``runs/``.

    Raises: RLHFError when there is neither.
    """
    for folder in (Path(place), DEFAULT_ROOT / place):
        # Not RunFolder.open: that puts folders right which a training under way may just be replacing.
        if RunFolder(folder).exists:
            return folder, [RunFolder(folder)]
        if found := [run for run in RunFolder.list(folder) if "~" not in run.name]:
            return folder, found
    return Path(place), [RunFolder.open(place)]


def comparison_place(runs: Sequence[RunFolder]) -> Path:
    """``comparison.html`` in the folder that holds all of them."""
    folders = [run.path.resolve() for run in runs]
    if len(set(folders)) < len(folders):
        raise RLHFError(f"{' '.join(str(run.path) for run in runs)}: the same run twice; name different ones")
    common = folders[0].parent
    while not all(folder.is_relative_to(common) for folder in folders):
        common = common.parent
    here = Path.cwd().resolve()
    return (common.relative_to(here) if common.is_relative_to(here) else common) / "comparison.html"
