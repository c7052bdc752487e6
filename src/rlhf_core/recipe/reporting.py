"""From run folders to pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlhf_core.report.content import EvaluationContent, PageContent, StageContent
from rlhf_core.report.page import render
from rlhf_core.store.atomic import write_text
from rlhf_core.store.run import RunFolder


def write_run_page(run: RunFolder) -> Path:
    """``report.html`` of one run. Returns: its place."""
    info = run.info
    content = PageContent(
        title=str(run.path), stages=[stage_content(run)], evaluations=evaluation_contents(run),
        command=str(info.get("command", "")), versions=_texts(info.get("versions")),
    )  # fmt: skip
    write_text(run.report, render(content))
    return run.report


def write_page(folder: Path, title: str, runs: Mapping[str, RunFolder], *, command: str) -> Path:
    """One page for all stages of a recipe and their evaluations. Returns: its place."""
    versions = next((_texts(run.info.get("versions")) for run in runs.values()), {})
    content = PageContent(
        title=title,
        stages=[stage_content(run) for run in runs.values()],
        evaluations=[found for run in runs.values() for found in evaluation_contents(run)],
        command=command,
        versions=versions,
    )
    page = folder / "report.html"
    write_text(page, render(content))
    return page


def stage_content(run: RunFolder) -> StageContent:
    info = run.info
    return StageContent(
        name=run.name,
        algo=str(info.get("algo", "")),
        status=str(info.get("status", "")),
        metrics=run.metrics(),
        samples=run.samples(),
        facts=_facts(info),
        config=run.recipe.read_text("utf-8") if run.recipe.is_file() else "",
    )


def evaluation_contents(run: RunFolder) -> list[EvaluationContent]:
    contents = []
    for name in run.evaluation_names():
        found = run.evaluation(name)
        if found is not None:
            label = run.name if name == "recipe" else f"{run.name}: {name}"
            contents.append(
                EvaluationContent(
                    name=label, summary=found["summary"], notes=found["notes"], baseline=found.get("baseline")
                )
            )
    return contents


def _facts(info: Mapping[str, Any]) -> dict[str, str]:
    """What the head of a stage says, as far as ``run.json`` knows it."""
    facts = {"starts from": info.get("from"), "seed": info.get("seed"), "step": info.get("step")}
    for split, report in (info.get("data") or {}).items():
        facts[f"{split} records"] = report.get("kept")
    for label, count in (info.get("parameters") or {}).items():
        facts[f"{label} parameters"] = f"{count:,}"
    if info.get("seconds") is not None:
        facts["seconds"] = f"{info['seconds']:.0f}"
    if info.get("best_step") is not None:
        facts["best step"] = info["best_step"]
    return {label: str(value) for label, value in facts.items() if value is not None}


def _texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    return {str(key): str(value) for key, value in (values or {}).items()}
