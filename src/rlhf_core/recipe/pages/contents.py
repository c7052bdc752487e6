"""From run folders to what a page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlhf_core.evaluation.statistics import paired_difference
from rlhf_core.report.content import ComparisonContent, EvaluationContent, Gain, StageContent
from rlhf_core.store.run import RunFolder

from ..differences import differing_settings


def stage_content(run: RunFolder, *, name: str | None = None) -> StageContent:
    info, metrics, samples = run.info, run.metrics(), run.samples()
    return StageContent(
        name=name or run.name,
        algo=str(info.get("algo", "")),
        status=run.status,
        error=str(info.get("error") or ""),
        metrics=metrics,
        samples=samples,
        held_out=run.held_out(),
        gain=sampled_gain(samples),
        warnings=info.get("warnings", ()),
        alarms=run.alarms(),
        readings=texts(info.get("readings")),
        facts=_facts(info, metrics),
        provenance=provenance_of(info),
        config=run.recipe.read_text("utf-8") if run.recipe.is_file() else "",
    )


def evaluation_contents(run: RunFolder) -> list[EvaluationContent]:
    contents = []
    for name in run.evaluation_names():
        found = run.evaluation(name)
        if found is not None:
            contents.append(evaluation_content(run, name, found, run.evaluation_rows(name)))
    return contents


def evaluation_content(
    run: RunFolder, name: str, found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> EvaluationContent:
    """Of what ``evaluation/NAME.json`` and ``NAME.jsonl`` hold."""
    return EvaluationContent(
        name=run.name if name == "recipe" else f"{run.name}: {name}",
        summary=found["summary"],
        notes=found["notes"],
        baseline=found.get("baseline"),
        rows=rows,
        warnings=found.get("warnings", ()),
    )


def comparison_content(runs: Sequence[RunFolder]) -> ComparisonContent:
    names = short_names(runs)
    return ComparisonContent(
        title=" · ".join(names),
        runs=[stage_content(run, name=name) for run, name in zip(runs, names, strict=True)],
        settings=differing_settings(runs),
        evaluations=[(run.newest_evaluation() or {}).get("summary", []) for run in runs],
    )


def short_names(runs: Sequence[RunFolder]) -> list[str]:
    """As many last parts of the paths as tell the runs apart."""
    for parts in (1, 2):
        names = ["/".join(run.path.parts[-parts:]) for run in runs]
        if len(set(names)) == len(names):
            return names
    return [str(run.path) for run in runs]


def sampled_gain(samples: Sequence[Mapping[str, Any]]) -> Gain | None:
    """Of the scores of the sampled held-out prompts, last against first; None without two scored samplings."""
    scored = [row for row in samples if row.get("score") is not None]
    steps = sorted({row["step"] for row in scored})
    if len(steps) < 2:
        return None
    before, after = ([row for row in scored if row["step"] == step] for step in (steps[0], steps[-1]))
    found = paired_difference(
        [row["score"] for row in after], [str(row["record_id"]) for row in after],
        [row["score"] for row in before], [str(row["record_id"]) for row in before],
    )  # fmt: skip
    return (
        None if found.value is None else Gain(value=found.value, low=found.low, high=found.high, prompts=found.prompts)
    )


def provenance_of(info: Mapping[str, Any]) -> dict[str, str]:
    """Command, code, base, data and parents, as far as ``run.json`` knows them."""
    base, git = info.get("base") or {}, info.get("git") or {}
    lines = {
        "command": info.get("command"),
        "made (UTC)": info.get("created"),
        "finished (UTC)": info.get("finished"),
        "machine": info.get("platform"),
        "code": f"{git['commit']}{' and changes' if git.get('changed') else ''}" if git else None,
        "base": base.get("path"),
        "base revision": base.get("revision"),
        "base sha256": base.get("sha256"),
    }
    for split, report in (info.get("data") or {}).items():
        if report.get("read"):
            lines[f"{split} data"] = _data(report)
            lines[f"{split} data sha256"] = report.get("fingerprint")
    for name, parent in (info.get("parents") or {}).items():
        lines[f"built on {name}"] = f"{parent['run']} ({parent['fingerprint']})"
    return {label: str(value) for label, value in lines.items() if value}


def texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    return {str(key): str(value) for key, value in (values or {}).items()}


def _data(report: Mapping[str, Any]) -> str:
    """``741 of 745 rows kept from puns; 4 dropped (empty completion: 4); 2 cut``."""
    told = [f"{report['kept']} of {report['read']} rows kept from {', '.join(report.get('sources') or {})}"]
    if dropped := report.get("dropped"):
        told.append(f"dropped: {', '.join(f'{count} {reason}' for reason, count in dropped.items())}")
    if report.get("truncated"):
        told.append(f"{report['truncated']} cut")
    return "; ".join(told)


def _facts(info: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the head of a stage says, as far as ``run.json`` knows it; of a step under way the metrics know."""
    step = info.get("step")
    if info.get("status") == "running":
        step = max((int(row["step"]) for row in metrics), default=0)
    steps = f"{step} of {info['steps']}" if step is not None and info.get("steps") else None
    facts = {"starts from": info.get("from"), "seed": info.get("seed"), "step": steps}
    for split, report in (info.get("data") or {}).items():
        facts[f"{split} records"] = report.get("kept")
    for label, count in (info.get("parameters") or {}).items():
        facts[f"{label} parameters"] = f"{count:,}"
    if info.get("seconds") is not None:
        facts["seconds"] = f"{info['seconds']:.0f}"
    if info.get("best_step") is not None:
        facts["best step"] = info["best_step"]
    return {label: str(value) for label, value in facts.items() if value is not None}
