"""A run, finished or not: where it stands, what went wrong, what to type next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.registry.catalog import Catalog
from rlhf_core.store.run import RunFolder

from ..amounts import clock, size
from .diagnosis import diagnose
from .finding import Finding

TELLING = ("loss", "score", "accuracy", "kl_k3")
"""Metrics that say how it went, where a trainer has them."""
FRESH = 60.0
"""Seconds in which a run may say that it is running before its process holds the lock."""
SILENT = 300.0
"""Seconds without a line of metrics after which somebody may want to look."""

_found = partial(Finding, area="run")


def unfinished(root: Path) -> Iterator[Finding]:
    """Of all runs under ``root``: those that say they are running while nobody writes them, and those that failed."""
    try:
        runs = RunFolder.list(root)
    except RLHFError as error:
        yield Finding(area="runs", subject=str(root), level="problem", says=str(error), mend="put it back or remove it")
        return
    yield Finding(area="runs", subject=str(root), says=f"{len(runs)} runs")
    for run in runs:
        info = run.info
        if info.get("status") == "failed" or _is_left(run, info):
            finding = status(run)
            yield Finding(area="runs", subject=str(run.path), level="note", says=finding.says, mend=finding.mend)


def examine(run: RunFolder, catalog: Catalog) -> Iterator[Finding]:
    """Everything that can be said of one run."""
    info = run.info
    yield _found(subject="command", says=str(info.get("command", "not recorded")))
    yield status(run)
    yield from progress(run)
    yield from data(info)
    for warning in info.get("warnings", ()):
        yield _found(subject="reward", level="note", says=warning)
    yield from health(run, catalog)
    yield checkpoints(run)
    yield from next_steps(run, catalog)


def status(run: RunFolder) -> Finding:
    """What it says it is, and whether that is so."""
    info, pid = run.info, run.writer()
    said = str(info.get("status", "failed"))
    at = f"step {_step(run)} of {info.get('steps', '?')}"
    found = partial(_found, subject="status")
    if said == "finished":
        early = "; evaluations got no better, so it ended early" if info.get("stopped_early") else ""
        return found(says=f"finished, {at}, {clock(info.get('seconds', 0))}{early}")
    if said == "running" and pid:
        return _running(run, pid, at)
    go_on = f"go on: {run.resume_command()}"
    if said == "running" and not _is_left(run, info):
        return found(says="just begun")
    if said == "running":
        says = f"says it is running ({at}), but no process writes it: it was killed, or the machine went down"
        return found(level="problem", says=says, mend=go_on)
    if said == "stopped":
        return found(level="note", says=f"stopped, {at}", mend=go_on)
    says = f"failed, {at}: {info.get('error', 'no reason is recorded')}"
    return found(level="problem", says=says, mend=f"mend that, then {go_on}")


def _running(run: RunFolder, pid: str, at: str) -> Finding:
    info = run.info
    rows = [row for row in run.metrics() if row.get("split") == "train"]
    says = f"running, process {pid}, {at}"
    # Before the first line there is nothing to tell the pace by.
    if not rows or not isinstance(info.get("steps"), int):
        return _found(subject="status", says=says)
    last = rows[-1]
    pace = last["seconds"] / max(1, last["step"])
    says += f", about {clock(pace * (info['steps'] - last['step']))} left"
    silent = run.silence()
    if silent < max(SILENT, 10 * pace):
        return _found(subject="status", says=says)
    says += f"; no line of metrics for {clock(silent)}, while a step took {pace:.1f} s"
    mend = f"it may be held up (look at process {pid}); Ctrl-C there saves, and the run can go on"
    return _found(subject="status", level="note", says=says, mend=mend)


def progress(run: RunFolder) -> Iterator[Finding]:
    """The telling metrics at the first, the best and the last evaluation."""
    rows = [row for row in run.metrics() if row.get("split") == "validation"]
    best = next((row for row in rows if row["step"] == run.info.get("best_step")), None)
    for name in TELLING:
        held = [row for row in rows if row.get(name) is not None]
        if not held:
            continue
        says = f"{held[0][name]:.4g} at step {held[0]['step']}"
        if len(held) > 1:
            says += f" → {held[-1][name]:.4g} at step {held[-1]['step']}"
        if best is not None and best.get(name) is not None and best is not held[-1]:
            says += f" (kept: step {best['step']}, {best[name]:.4g})"
        yield _found(subject=f"held-out {name}", says=says)


def data(info: dict[str, Any]) -> Iterator[Finding]:
    """What was dropped and cut, a note where it is much."""
    for split, report in (info.get("data") or {}).items():
        read, kept, cut = (int(report.get(key, 0)) for key in ("read", "kept", "truncated"))
        if not read:
            continue
        dropped = ", ".join(f"{found['count']} {reason}" for reason, found in (report.get("dropped") or {}).items())
        says = f"{kept} of {read} rows kept, {cut} cut" + (f"; dropped: {dropped}" if dropped else "")
        much = sum(found["count"] for found in (report.get("dropped") or {}).values()) > read / 10 or cut > kept / 10
        mend = "look at the rows: rlhf data show; limits are data.max_prompt_tokens and data.max_completion_tokens"
        yield _found(subject=f"{split} data", level="note" if much else "ok", says=says, mend=mend if much else "")


def health(run: RunFolder, catalog: Catalog) -> Iterator[Finding]:
    """Its alarms, made anew from its files, and how its metrics moved."""
    if not run.metrics():
        return
    found = diagnose(run, catalog)
    for alarm in found.alarms:
        says = f"step {alarm.step}: {alarm.says} ({alarm.evidence})"
        mend = f"likeliest cause: {alarm.cause}; {alarm.mend}"
        yield Finding(area="health", subject=alarm.name, level="alarm", says=says, mend=mend)
    for note in found.notes:
        yield Finding(area="health", subject="seen", says=note)


def checkpoints(run: RunFolder) -> Finding:
    held = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    paths = run.checkpoints.paths()
    says = f"{len(paths)}, the newest {paths[-1].name}" if paths else "none"
    return _found(subject="checkpoints", says=f"{says}; the folder holds {size(held)}")


def next_steps(run: RunFolder, catalog: Catalog) -> Iterator[Finding]:
    """What to type next, for a run that has a model."""
    if not run.model.is_dir():
        return
    asks = partial(Finding, area="next")
    measured = run.evaluation_names()
    if _writes(run, catalog):
        says = f"measured already ({', '.join(measured)})" if measured else "not measured yet"
        yield asks(subject="measure", says=f"{says}: rlhf evaluate --run {run.path} --baseline base")
        yield asks(subject="try", says=f'rlhf generate --run {run.path} "…"')
        yield asks(subject="export", says=f"rlhf export --run {run.path} --output FOLDER")
    else:
        yield asks(subject="use", says=f"as a reward: rlhf train --algo ppo --reward {run.path}")
    yield asks(subject="look", says=str(run.report) if run.report.is_file() else f"rlhf report --run {run.path}")


def _writes(run: RunFolder, catalog: Catalog) -> bool:
    try:
        return bool(catalog.find("trainer", str(run.info.get("algo"))).target().generates)
    except RLHFError:
        return True  # the plugin that trained it is not here; its model is


def _is_left(run: RunFolder, info: dict[str, Any]) -> bool:
    """Whether it says that it is running while nobody writes it."""
    if info.get("status") != "running" or run.writer():
        return False
    updated = datetime.fromisoformat(str(info.get("updated") or "1970-01-01T00:00:00+00:00"))
    return (datetime.now(UTC) - updated).total_seconds() > FRESH


def _step(run: RunFolder) -> int:
    """Of the last line of metrics: ``run.json`` knows it only at the end."""
    return max([int(run.info.get("step") or 0), *(int(row["step"]) for row in run.metrics())])
