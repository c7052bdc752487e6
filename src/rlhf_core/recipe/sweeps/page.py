"""From what a sweep found to its page: the table as it is, the samples and the ways read from the points' runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlhf_core.report.curves import score_path
from rlhf_core.report.sweep import PointContent, Sample, SweepContent, is_score, render_sweep
from rlhf_core.store.atomic import write_text
from rlhf_core.store.run import RunFolder

from ..pipeline import EVALUATION


def write_sweep_page(folder: Path, found: Mapping[str, Any]) -> Path:
    """``sweep.html``. Args: found: as ``sweep.json`` holds it. Returns: its place."""
    content = SweepContent(
        title=f"Sweep of {found['recipe']}", command=found["command"], table=found["table"], planned=found["planned"],
        points=[_point(folder, point) for point in found["points"]],
    )  # fmt: skip
    page = folder / "sweep.html"
    write_text(page, render_sweep(content))
    return page


def _point(folder: Path, point: Mapping[str, Any]) -> PointContent:
    """Samples and way are of the last swept stage that has them."""
    rows: list[dict[str, Any]] = []
    samples: list[Sample] = []
    for place in point["runs"].values():
        run = RunFolder(Path(place))
        rows, samples = run.metrics() or rows, _answers(run) or samples
    return PointContent(
        setting=point["setting"], seed=point["seed"], status=point["status"], error=point["error"],
        folder=str(folder / point["name"]), metrics=point["metrics"], alarms=point["alarms"],
        path=score_path(rows, "validation"), samples=samples,
    )  # fmt: skip


def _answers(run: RunFolder) -> list[Sample]:
    """The evaluation's, beside the baseline's where it has one; else those at the start and the end of the training."""
    path = run.evaluations / f"{EVALUATION}.jsonl"
    if path.is_file():
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        before, after = (_first(rows, "group", "of", of) for of in ("baseline", "run"))
    else:
        rows = run.samples()
        steps = sorted({row["step"] for row in rows})
        before, after = (
            (_first(rows, "record_id", "step", step) for step in (steps[0], steps[-1])) if steps else ({}, {})
        )
    return [_sample(key, before.get(key), row) for key, row in after.items()]


def _first(rows: list[dict[str, Any]], key: str, column: str, value: object) -> dict[str, dict[str, Any]]:
    """Of the rows with that value in ``column`` the first for each ``key``."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row[column] == value:
            found.setdefault(str(row[key]), row)
    return found


def _sample(key: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Sample:
    scores = {name: value for name, value in after.items() if is_score(name) and isinstance(value, int | float)}
    return Sample(
        key=key, prompt=after["prompt"], before=before["completion"] if before else "", after=after["completion"],
        scores=scores,
    )  # fmt: skip
